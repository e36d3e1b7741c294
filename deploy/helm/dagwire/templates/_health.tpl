{{/* The probes of scheduler, launcher and event store. Alive: its loop answers. Ready: what it needs is there. */}}
{{- define "dagwire.healthProbes" -}}
ports: [{name: health, containerPort: 8081}]
startupProbe: {httpGet: {path: /healthz, port: health}, periodSeconds: 1, failureThreshold: 120}
readinessProbe: {httpGet: {path: /readyz, port: health}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3}
livenessProbe: {httpGet: {path: /healthz, port: health}, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6}
{{- end -}}
