{{/* One NetworkPolicy for a component's pods. Takes root, component, ingress and egress (lists of rules), and where
needed: name, components (several), namespace, instanceOnly. An empty list lets nothing through. */}}
{{- define "dagwire.networkPolicy" -}}
{{- $components := .components | default (list .component) -}}
{{- $selector := dict "matchLabels" (dict "app.kubernetes.io/instance" .root.Release.Name)
  "matchExpressions" (list (dict "key" "component" "operator" "In" "values" $components)) -}}
{{- $merge := ((get .root.Values .component | default dict).merge | default dict).networkPolicy -}}
{{ include "dagwire.object" (dict "root" .root "component" .component "apiVersion" "networking.k8s.io/v1" "kind" "NetworkPolicy"
  "name" (printf "%s-%s" (include "dagwire.fullname" .root) (.name | default .component)) "namespace" .namespace
  "body" (dict "spec" (dict "podSelector" $selector "policyTypes" (list "Ingress" "Egress") "ingress" .ingress "egress" .egress)) "merge" $merge) }}
{{- end -}}

{{/* Pods of this release by component. Labels alone would let in whoever writes the same ones elsewhere. JSON. */}}
{{- define "dagwire.peers" -}}
{{- $namespace := .namespace | default .root.Release.Namespace -}}
{{- toJson (dict
  "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace))
  "podSelector" (dict "matchLabels" (dict "app.kubernetes.io/instance" .root.Release.Name)
    "matchExpressions" (list (dict "key" "component" "operator" "In" "values" .components)))) -}}
{{- end -}}

{{- define "dagwire.egress.dns" -}}
- ports:
  {{- range .Values.networkPolicy.dnsPorts }}
  - {port: {{ . }}, protocol: UDP}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
{{- end -}}

{{/* To NATS: this release's, or whatever stands at the ports of an address elsewhere. */}}
{{- define "dagwire.egress.nats" -}}
{{- if .Values.nats.enabled -}}
- to: [{{ include "dagwire.peers" (dict "root" . "components" (list "nats")) }}]
  ports: [{port: 4222, protocol: TCP}]
{{- else -}}
{{- $ports := list -}}
{{- range splitList "," .Values.nats.url -}}
  {{- $ports = append $ports (dict "protocol" "TCP" "port" (int (regexFind ":[0-9]+/?$" . | trimPrefix ":" | trimSuffix "/" | default "4222"))) -}}
{{- end -}}
- ports: {{ $ports | uniq | toJson }}
{{- end -}}
{{- end -}}

{{- define "dagwire.egress.postgresql" -}}
{{- if .Values.postgresql.enabled -}}
- to: [{{ include "dagwire.peers" (dict "root" . "components" (list "postgresql")) }}]
  ports: [{port: 5432, protocol: TCP}]
{{- else if .Values.postgresql.auth.keys.port -}}
- ports: [{protocol: TCP}]
{{- else -}}
- ports: [{port: {{ .Values.postgresql.port }}, protocol: TCP}]
{{- end -}}
{{- end -}}

{{/* To code servers: pods of user code, and what else the workspace names. */}}
{{- define "dagwire.egress.code" -}}
- to: [{{ include "dagwire.peers" (dict "root" . "components" (list "user-code")) }}]
{{- range .Values.workspace.servers }}
- ports: [{port: {{ .port }}, protocol: TCP}]
{{- end }}
{{- if .Values.workspace.existingConfigMap }}
- ports: [{protocol: TCP}]
{{- end }}
{{- end -}}
