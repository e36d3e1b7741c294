{{- define "dagwire.eventstore.pod" -}}
container:
  command: [python, -m, dagwire_eventstore]
  {{- include "dagwire.healthProbes" . | nindent 2 }}
env:
  {{- include "dagwire.serviceEnv" (dict "root" . "component" "eventstore") | nindent 2 }}
  {{- include "dagwire.databaseEnv" (dict "root" . "prefix" "DAGWIRE_EVENTSTORE_" "who" "writer") | nindent 2 }}
  - {name: DAGWIRE_EVENTSTORE_HEALTH_PORT, value: "8081"}
  - {name: DAGWIRE_EVENTSTORE_MIGRATION, value: await}
  - {name: DAGWIRE_EVENTSTORE_PARTITIONS, value: {{ .Values.eventstore.partitions | int | quote }}}
  - {name: DAGWIRE_EVENTSTORE_LOG_RETENTION_DAYS, value: {{ .Values.eventstore.logRetentionDays | quote }}}
volumes:
  {{- include "dagwire.postgresql.volumes" . | nindent 2 }}
volumeMounts:
  {{- include "dagwire.postgresql.mounts" . | nindent 2 }}
{{- end -}}

{{/* The migration, as the owner of the tables: it makes them, and the roles of those who write and read them. */}}
{{- define "dagwire.migrate.pod" -}}
{{- $auth := .Values.postgresql.auth -}}{{- $secret := include "dagwire.postgresql.secret" . -}}
container:
  command: [python, -m, dagwire_eventstore, migrate]
env:
  - {name: DAGWIRE_EVENTSTORE_LOG_LEVEL, value: {{ .Values.logLevel }}}
  - {name: DAGWIRE_EVENTSTORE_LOG_FORMAT, value: {{ .Values.logFormat }}}
  {{- include "dagwire.databaseEnv" (dict "root" . "prefix" "DAGWIRE_EVENTSTORE_" "who" "owner") | nindent 2 }}
  {{- range $who := list "writer" "reader" }}
  {{- if or (get $auth.keys (printf "%sUser" $who)) (ne (get $auth.users $who) $auth.users.owner) }}
  {{- include "dagwire.fromSecretOr" (dict "name" (printf "DAGWIRE_EVENTSTORE_%s_ROLE" (upper $who)) "secret" $secret "key" (get $auth.keys (printf "%sUser" $who)) "value" (get $auth.users $who)) | nindent 2 }}
  {{- if $auth.createRoles }}
  {{- include "dagwire.fromSecret" (dict "name" (printf "DAGWIRE_EVENTSTORE_%s_PASSWORD" (upper $who)) "secret" $secret "key" (get $auth.keys $who)) | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- end }}
volumes:
  {{- include "dagwire.postgresql.volumes" . | nindent 2 }}
volumeMounts:
  {{- include "dagwire.postgresql.mounts" . | nindent 2 }}
spec: {restartPolicy: OnFailure}
{{- end -}}
