{{/* Environment variables from several sources, each a list of {name, value | valueFrom} or of "NAME=value", or a map
by name. A later source wins, and keeps the place of the earlier one, so that $(NAME) still finds it. Gives JSON. */}}
{{- define "dagwire.env" -}}
{{- $names := list -}}{{- $found := dict -}}
{{- range $source := . -}}
  {{- $entries := list -}}
  {{- if kindIs "map" $source -}}
    {{- range $name, $value := $source -}}
      {{- $text := ternary (toJson $value) (toString $value) (kindIs "float64" $value) -}}{{/* 1000000, not 1e+06 */}}
      {{- $entry := ternary $value (dict "value" $text) (kindIs "map" $value) -}}
      {{- $entries = append $entries (merge (dict "name" $name) $entry) -}}
    {{- end -}}
  {{- else -}}
    {{- range $entry := $source -}}
      {{- if kindIs "string" $entry -}}
        {{- $parts := splitn "=" 2 $entry -}}
        {{- $entry = dict "name" $parts._0 "value" ($parts._1 | default "") -}}
      {{- end -}}
      {{- $entries = append $entries $entry -}}
    {{- end -}}
  {{- end -}}
  {{- range $entry := $entries -}}
    {{- if not (hasKey $found $entry.name) }}{{ $names = append $names $entry.name }}{{ end -}}
    {{- $_ := set $found $entry.name $entry -}}
  {{- end -}}
{{- end -}}
{{- $list := list -}}
{{- range $names }}{{ $list = append $list (get $found .) }}{{ end -}}
{{- toJson $list -}}
{{- end -}}

{{/* envFrom entries of envFrom, envConfigMaps and envSecrets; the latter list names or {name, optional}. JSON. */}}
{{- define "dagwire.envFrom" -}}
{{- $list := .envFrom | default list -}}
{{- range .envConfigMaps }}{{ $list = append $list (dict "configMapRef" (ternary . (dict "name" .) (kindIs "map" .))) }}{{ end -}}
{{- range .envSecrets }}{{ $list = append $list (dict "secretRef" (ternary . (dict "name" .) (kindIs "map" .))) }}{{ end -}}
{{- toJson $list -}}
{{- end -}}

{{/* A variable from a key of a Secret. */}}
{{- define "dagwire.fromSecret" -}}
- name: {{ .name | quote }}
  valueFrom: {secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}}
{{- end -}}

{{/* A variable from a key of a Secret if a key is named, else a plain value. */}}
{{- define "dagwire.fromSecretOr" -}}
{{- if .key }}{{ include "dagwire.fromSecret" . }}{{ else -}}
- {name: {{ .name | quote }}, value: {{ .value | toString | quote }}}
{{- end -}}
{{- end -}}

{{/* What every service is told: how to log, where it says how it is, and the bus with its credential. */}}
{{- define "dagwire.serviceEnv" -}}
{{- $prefix := printf "DAGWIRE_%s_" (upper .component) -}}
- {name: {{ $prefix }}LOG_LEVEL, value: {{ .root.Values.logLevel }}}
- {name: {{ $prefix }}LOG_FORMAT, value: {{ .root.Values.logFormat }}}
- {name: {{ $prefix }}STREAM_REPLICAS, value: {{ include "dagwire.streamReplicas" .root | quote }}}
- {name: {{ $prefix }}NATS_URL, value: {{ include "dagwire.nats.url" .root | quote }}}
- {name: {{ $prefix }}NATS_USER, value: {{ get .root.Values.nats.auth.users .component | quote }}}
{{ include "dagwire.fromSecret" (dict "name" (printf "%sNATS_PASSWORD" $prefix) "secret" (include "dagwire.nats.secret" .root) "key" (get .root.Values.nats.auth.keys .component)) }}
{{- end -}}

{{/* The database for one service: who it is there (`who`: writer or reader, the event store's or Dagit's). */}}
{{- define "dagwire.databaseEnv" -}}
{{- $pg := .root.Values.postgresql -}}{{- $secret := include "dagwire.postgresql.secret" .root -}}{{- $keys := $pg.auth.keys -}}
{{ include "dagwire.fromSecretOr" (dict "name" "DATABASE_HOST" "secret" $secret "key" $keys.host "value" (include "dagwire.postgresql.host" .root)) }}
{{ include "dagwire.fromSecretOr" (dict "name" "DATABASE_PORT" "secret" $secret "key" $keys.port "value" $pg.port) }}
{{ include "dagwire.fromSecretOr" (dict "name" "DATABASE_NAME" "secret" $secret "key" $keys.database "value" $pg.database) }}
- name: {{ .prefix }}DATABASE_URL
  value: {{ printf "postgresql://$(DATABASE_HOST):$(DATABASE_PORT)/$(DATABASE_NAME)%s" (include "dagwire.postgresql.parameters" .root) | quote }}
{{ include "dagwire.fromSecretOr" (dict "name" (printf "%sDATABASE_USER" .prefix) "secret" $secret "key" (get $keys (printf "%sUser" .who)) "value" (get $pg.auth.users .who)) }}
{{ include "dagwire.fromSecret" (dict "name" (printf "%sDATABASE_PASSWORD" .prefix) "secret" $secret "key" (get $keys .who)) }}
{{- end -}}
