{{- define "dagwire.workspace.name" -}}
{{- .Values.workspace.existingConfigMap | default (printf "%s-workspace" (include "dagwire.fullname" .)) -}}
{{- end -}}

{{/* The workspace file: where Dagit and the scheduler find the code servers, of this release and of others. */}}
{{- define "dagwire.workspace.file" -}}
{{- $servers := list -}}
{{- range .Values.userDeployments -}}
  {{- $servers = append $servers (dict "grpc_server" (dict "host" .name "port" .port "location_name" .name)) -}}
{{- end -}}
{{- range .Values.workspace.servers -}}
  {{- $server := dict "host" .host "port" .port "location_name" (.name | default .host) -}}
  {{- if .ssl }}{{ $_ := set $server "ssl" true }}{{ end -}}
  {{- $servers = append $servers (dict "grpc_server" $server) -}}
{{- end -}}
{{ toYaml (dict "load_from" $servers) }}
{{- end -}}
