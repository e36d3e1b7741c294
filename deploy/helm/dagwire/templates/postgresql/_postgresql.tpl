{{- define "dagwire.postgresql.host" -}}
{{- if .Values.postgresql.enabled }}{{ include "dagwire.fullname" . }}-postgresql{{ else }}{{ .Values.postgresql.host }}{{ end -}}
{{- end -}}

{{- define "dagwire.postgresql.secret" -}}
{{- .Values.postgresql.auth.existingSecret | default (printf "%s-postgresql" (include "dagwire.fullname" .)) -}}
{{- end -}}

{{/* The parameters of the database's address: "?sslmode=verify-full&…". */}}
{{- define "dagwire.postgresql.parameters" -}}
{{- $all := deepCopy .Values.postgresql.parameters -}}
{{- if .Values.postgresql.tls.caSecret }}{{ $all = merge $all (dict "sslmode" "verify-full" "sslrootcert" "/etc/dagwire/postgresql/ca.crt") }}{{ end -}}
{{- $list := list -}}
{{- range $name, $value := $all }}{{ $list = append $list (printf "%s=%s" $name (toString $value)) }}{{ end -}}
{{- with $list }}?{{ join "&" . }}{{ end -}}
{{- end -}}

{{- define "dagwire.postgresql.volumes" -}}
{{- with .Values.postgresql.tls -}}
{{- if .caSecret -}}
- {name: postgresql-ca, secret: {secretName: {{ .caSecret | quote }}, items: [{key: {{ .caKey | quote }}, path: ca.crt}]}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "dagwire.postgresql.mounts" -}}
{{- if .Values.postgresql.tls.caSecret -}}
- {name: postgresql-ca, mountPath: /etc/dagwire/postgresql, readOnly: true}
{{- end -}}
{{- end -}}

{{- define "dagwire.postgresql.pod" -}}
{{- $pg := .Values.postgresql -}}
{{- $check := list "pg_isready" "--host=127.0.0.1" (printf "--username=%s" $pg.auth.users.owner) (printf "--dbname=%s" $pg.database) | toJson -}}
container:
  args: {{ concat (list "postgres") $pg.arguments | toJson }}
  ports: [{name: postgresql, containerPort: 5432}]
  startupProbe: {exec: {command: {{ $check }}}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 600}
  readinessProbe: {exec: {command: {{ $check }}}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3}
  livenessProbe: {exec: {command: {{ $check }}}, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 6}
env:
  - {name: POSTGRES_DB, value: {{ $pg.database | quote }}}
  - {name: POSTGRES_USER, value: {{ $pg.auth.users.owner | quote }}}
  - {name: POSTGRES_HOST_AUTH_METHOD, value: scram-sha-256}
  - {name: PGDATA, value: /var/lib/postgresql/18/docker}
  {{- include "dagwire.fromSecret" (dict "name" "POSTGRES_PASSWORD" "secret" (include "dagwire.postgresql.secret" .) "key" $pg.auth.keys.owner) | nindent 2 }}
volumes:
  - {name: run, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
volumeMounts:
  - {name: run, mountPath: /var/run/postgresql}
  - {name: data, mountPath: /var/lib/postgresql}
{{- end -}}
