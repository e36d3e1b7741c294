{{/* Generated passwords. Those of the last install are kept: a database does not forget the password it was made with. */}}

{{/* The data of a generated Secret: each key as it is in the cluster, else as given, else random. Takes root, name,
keys (a list), given (a map). JSON, base64. */}}
{{- define "dagwire.generated" -}}
{{- $known := (lookup "v1" "Secret" .root.Release.Namespace .name | default dict).data | default dict -}}
{{- $data := dict -}}
{{- $given := .given -}}
{{- range .keys -}}
  {{- $value := get $given . -}}
  {{- if $value }}{{ $_ := set $data . (b64enc $value) }}
  {{- else }}{{ $_ := set $data . (get $known . | default (randAlphaNum 40 | b64enc)) }}{{ end -}}
{{- end -}}
{{- toJson $data -}}
{{- end -}}

{{- define "dagwire.secret" -}}
{{ include "dagwire.object" (dict "root" .root "component" .component "apiVersion" "v1" "kind" "Secret" "name" .name
  "annotations" (dict "helm.sh/resource-policy" "keep")
  "body" (dict "type" "Opaque" "data" (include "dagwire.generated" . | fromJson))) }}
{{- end -}}
