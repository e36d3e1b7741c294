{{- define "dagwire.tcpPorts" -}}
{{- $list := list -}}
{{- range . }}{{ $list = append $list (dict "port" . "protocol" "TCP") }}{{ end -}}
{{- toJson $list -}}
{{- end -}}

{{/* Who may reach Dagit: by default whoever is not user code. A Service of type NodePort or LoadBalancer brings
addresses from outside the cluster along. JSON. */}}
{{- define "dagwire.dagit.clients" -}}
{{- $foreign := dict "key" "component" "operator" "NotIn" "values" (list "user-code" "run-worker" "step-worker") -}}
{{- $clients := list (dict "namespaceSelector" (dict) "podSelector" (dict "matchExpressions" (list $foreign))) -}}
{{- if ne .Values.dagit.service.type "ClusterIP" -}}
{{- $clients = concat $clients (list (dict "ipBlock" (dict "cidr" "0.0.0.0/0")) (dict "ipBlock" (dict "cidr" "::/0"))) -}}
{{- end -}}
{{- $test := include "dagwire.peers" (dict "root" . "components" (list "test")) | fromJson -}}
{{- toJson (ternary (append .Values.networkPolicy.dagitFrom $test) $clients (gt (len .Values.networkPolicy.dagitFrom) 0)) -}}
{{- end -}}
