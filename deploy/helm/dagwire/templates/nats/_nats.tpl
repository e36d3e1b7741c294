{{- define "dagwire.nats.url" -}}
{{- if .Values.nats.enabled }}nats://{{ include "dagwire.fullname" . }}-nats:4222{{ else }}{{ .Values.nats.url }}{{ end -}}
{{- end -}}

{{/* As run workers reach it: by its full name, because their namespace may be another. */}}
{{- define "dagwire.nats.workerUrl" -}}
{{- if .Values.nats.enabled }}nats://{{ include "dagwire.fullname" . }}-nats.{{ .Release.Namespace }}:4222{{ else }}{{ .Values.nats.url }}{{ end -}}
{{- end -}}

{{- define "dagwire.nats.secret" -}}
{{- .Values.nats.auth.existingSecret | default (printf "%s-nats" (include "dagwire.fullname" .)) -}}
{{- end -}}

{{- define "dagwire.streamReplicas" -}}
{{- $nats := .Values.nats -}}
{{- $nats.streamReplicas | default (ternary $nats.replicaCount 1 $nats.enabled) | int -}}
{{- end -}}

{{/* The server's configuration. Who may do what is in auth.conf, which the init container writes from the Secret. */}}
{{- define "dagwire.nats.config" -}}
{{- $name := printf "%s-nats" (include "dagwire.fullname" .) -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
pid_file: /tmp/nats.pid
max_payload: 8MB
include ../nats-auth/auth.conf

jetstream {
  store_dir: /data
  max_file_store: {{ .Values.nats.storage.maxFileStore }}
  max_memory_store: 64Mi
  # An acknowledged message is on the disk.
  sync_interval: always
}
{{- if gt (int .Values.nats.replicaCount) 1 }}

cluster {
  name: {{ $name }}
  listen: "0.0.0.0:6222"
  no_advertise: true
  authorization { user: route, password: $ROUTE_PASSWORD, timeout: 5 }
  routes: [
    {{- range $i := until (int .Values.nats.replicaCount) }}
    $ROUTE_{{ $i }}
    {{- end }}
  ]
}

# Clients move to the other servers before this one stops.
lame_duck_grace_period: 5s
lame_duck_duration: 30s
{{- end }}
{{- with .Values.nats.config }}

{{ . | trim }}
{{- end }}
{{ end -}}

{{- define "dagwire.nats.pod" -}}
{{- $nats := .Values.nats -}}{{- $secret := include "dagwire.nats.secret" . -}}
{{- $name := printf "%s-nats" (include "dagwire.fullname" .) -}}
{{- $clustered := gt (int $nats.replicaCount) 1 -}}
container:
  command: [nats-server, --config, /etc/nats-config/nats.conf]
  ports:
    - {name: nats, containerPort: 4222}
    - {name: monitor, containerPort: 8222}
    {{- if $clustered }}
    - {name: cluster, containerPort: 6222}
    {{- end }}
  # Started: its streams are restored. Ready: it takes part in JetStream. Alive: its streams can be written; when a disk
  # has failed, only a restart helps, but a cluster without a majority must not restart its last member too soon.
  startupProbe: {httpGet: {path: /healthz, port: monitor}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 600}
  readinessProbe: {httpGet: {path: "/healthz?js-server-only=true", port: monitor}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3}
  livenessProbe: {httpGet: {path: /healthz, port: monitor}, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: {{ ternary 20 6 $clustered }}}
  {{- if $clustered }}
  lifecycle: {preStop: {exec: {command: [nats-server, --signal, ldm=/tmp/nats.pid]}}}
  {{- end }}
env:
  - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  {{- if $clustered }}
  {{- include "dagwire.fromSecret" (dict "name" "ROUTE_KEY" "secret" $secret "key" $nats.auth.keys.route) | nindent 2 }}
  - {name: ROUTE_PASSWORD, value: '"$(ROUTE_KEY)"'}
  {{- range $i := until (int $nats.replicaCount) }}
  - {name: ROUTE_{{ $i }}, value: '"nats://route:$(ROUTE_KEY)@{{ $name }}-{{ $i }}.{{ $name }}-headless:6222"'}
  {{- end }}
  {{- end }}
initContainers:
  - name: auth
    image: {{ include "dagwire.image" (dict "root" . "image" .Values.image) | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [python, -m, dagwire_launcher, nats-auth, --output, /etc/nats-auth/auth.conf]
    env:
      {{- include "dagwire.fromSecret" (dict "name" "DAGWIRE_LAUNCHER_CREDENTIAL_SECRET" "secret" $secret "key" $nats.auth.keys.credential) | nindent 6 }}
      {{- range $who := list "dagit" "scheduler" "launcher" "eventstore" }}
      {{- include "dagwire.fromSecret" (dict "name" (printf "DAGWIRE_NATS_%s_PASSWORD" (upper $who)) "secret" $secret "key" (get $nats.auth.keys $who)) | nindent 6 }}
      {{- end }}
      - name: DAGWIRE_NATS_CLIENT_PASSWORD
        valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ $nats.auth.keys.client | quote }}, optional: true}}
    volumeMounts: [{name: auth, mountPath: /etc/nats-auth}, {name: tmp, mountPath: /tmp}]
    resources: {{ $nats.authResources | toJson }}
volumes:
  - {name: config, configMap: {name: {{ $name | quote }}}}
  - {name: auth, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
volumeMounts:
  - {name: config, mountPath: /etc/nats-config, readOnly: true}
  - {name: auth, mountPath: /etc/nats-auth, readOnly: true}
  - {name: data, mountPath: /data}
annotations:
  dagwire/nats: {{ include "dagwire.nats.config" . | sha256sum | trunc 32 }}
{{- end -}}
