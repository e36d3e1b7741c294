{{- define "dagwire.dagit.address" -}}
{{ include "dagwire.fullname" . }}-dagit:{{ .Values.dagit.service.port }}
{{- end -}}

{{/* The names under which Dagit is asked: its Service's, those of ingress and routes, and those of the values. */}}
{{- define "dagwire.dagit.hosts" -}}
{{- $service := printf "%s-dagit" (include "dagwire.fullname" .) -}}
{{- $hosts := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace)
  (printf "%s.%s.svc.%s" $service .Release.Namespace .Values.clusterDomain) -}}
{{- if .Values.ingress.enabled }}{{ range .Values.ingress.hosts }}{{ $hosts = append $hosts .host }}{{ end }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end -}}
{{- join "," (concat $hosts .Values.dagit.allowedHosts | uniq) -}}
{{- end -}}

{{- define "dagwire.dagit.pod" -}}
{{- $probe := dict "port" "http" "httpHeaders" (list (dict "name" "Host" "value" "localhost")) -}}
container:
  command: [python, -m, dagwire_dagit]
  ports: [{name: http, containerPort: {{ .Values.dagit.port }}}]
  startupProbe: {httpGet: {{ merge (dict "path" "/healthz") $probe | toJson }}, periodSeconds: 1, failureThreshold: 120}
  readinessProbe: {httpGet: {{ merge (dict "path" "/readyz") $probe | toJson }}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3}
  livenessProbe: {httpGet: {{ merge (dict "path" "/healthz") $probe | toJson }}, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6}
  lifecycle: {preStop: {sleep: {seconds: 3}}}
env:
  {{- include "dagwire.serviceEnv" (dict "root" . "component" "dagit") | nindent 2 }}
  {{- include "dagwire.databaseEnv" (dict "root" . "prefix" "DAGWIRE_DAGIT_" "who" "reader") | nindent 2 }}
  - {name: DAGWIRE_DAGIT_HOST, value: 0.0.0.0}
  - {name: DAGWIRE_DAGIT_PORT, value: {{ .Values.dagit.port | quote }}}
  - {name: DAGWIRE_DAGIT_ALLOWED_HOSTS, value: {{ include "dagwire.dagit.hosts" . | quote }}}
  - {name: DAGWIRE_DAGIT_WORKSPACE, value: /etc/dagwire/workspace/workspace.yaml}
volumes:
  - {name: workspace, configMap: {name: {{ include "dagwire.workspace.name" . | quote }}}}
  {{- include "dagwire.postgresql.volumes" . | nindent 2 }}
volumeMounts:
  - {name: workspace, mountPath: /etc/dagwire/workspace, readOnly: true}
  {{- include "dagwire.postgresql.mounts" . | nindent 2 }}
annotations:
  dagwire/workspace: {{ include "dagwire.workspace.file" . | sha256sum | trunc 32 }}
{{- if lt (int .Values.dagit.port) 1024 }}
spec: {securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "0"}]}}
{{- end }}
{{- end -}}
