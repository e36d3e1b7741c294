{{- define "dagwire.runs.namespace" -}}
{{- .Values.runs.namespace | default .Release.Namespace -}}
{{- end -}}

{{- define "dagwire.runs.serviceAccount" -}}
{{- include "dagwire.serviceAccountName" (dict "root" . "name" (printf "%s-run" (include "dagwire.fullname" .)) "values" .Values.runs) -}}
{{- end -}}

{{/* The launcher's file of what run pods are like. Every run gets `default`; a location's runs get its own layer too. */}}
{{- define "dagwire.runs.file" -}}
{{- $base := dict "serviceAccountName" (include "dagwire.runs.serviceAccount" .) -}}
{{- with include "dagwire.pullSecrets" (dict "root" . "values" dict) | fromJsonArray }}{{ $_ := set $base "imagePullSecrets" . }}{{ end -}}
{{- $locations := dict -}}
{{- range .Values.userDeployments -}}
  {{- $layer := include "dagwire.userCode.runLayer" . | fromJson -}}
  {{- if $layer }}{{ $_ := set $locations .name $layer }}{{ end -}}
{{- end -}}
{{- $default := mergeOverwrite $base (deepCopy .Values.runs.default) -}}
{{- $locations = mergeOverwrite $locations (deepCopy .Values.runs.locations) -}}
{{- range $layer := prepend (values $locations) $default -}}
  {{- with $layer.env }}{{ $_ := set $layer "env" (include "dagwire.env" (list .) | fromJsonArray) }}{{ end -}}
{{- end -}}
{{ toYaml (dict "kubernetes" (dict "default" $default "locations" $locations "allow" .Values.runs.allow)) }}
{{- end -}}
