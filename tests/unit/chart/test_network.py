"""Who reaches whom: policies for every pod, the Ingress and the Gateway API's route."""

import pytest
from support.chart import WEATHER, render

BASE = {"userDeployments": [WEATHER]}
USER_CODE = ["user-code", "run-worker", "step-worker"]


def policies(values):
    return render({**BASE, **values}).policies()


def components(peers):
    """The components that peers name, in the release's namespace; or addresses."""
    found = set()
    for peer in peers:
        if peer.ip_block is not None:
            found.add(peer.ip_block.cidr)
            continue
        assert peer.namespace_selector.match_labels == {"kubernetes.io/metadata.name": "data"}
        assert peer.pod_selector.match_labels == {"app.kubernetes.io/instance": "dagwire"}
        found.update(peer.pod_selector.match_expressions[0].values)
    return found


def ingress(policy):
    """Who gets in, by port."""
    return {rule.ports[0].port: components(rule._from) for rule in policy.ingress}


def egress(policy):
    """Where it gets out to, by port; None: anywhere, or any port."""
    found = {}
    for rule in policy.egress:
        for port in rule.ports or [None]:
            found[port and port.port] = components(rule.to) if rule.to else None
    return found


def test_every_pod_has_a_policy_for_both_directions():
    rendering = render(BASE)
    covered = set()
    for policy in policies({}).values():
        assert policy.policy_types == ["Ingress", "Egress"]
        assert policy.pod_selector.match_labels == {"app.kubernetes.io/instance": "dagwire"}
        covered.update(policy.pod_selector.match_expressions[0].values)
    assert covered == {component for component, _ in rendering.pods} | {"run-worker", "step-worker"}


def test_only_those_who_need_the_database_reach_it():
    assert ingress(policies({})["postgresql"]) == {"postgresql": {"dagit", "eventstore", "migrate"}}
    assert policies({})["postgresql"].egress == []
    reaching = {name for name, policy in policies({}).items() if egress(policy).get(5432)}
    assert reaching == {"dagit", "eventstore", "migrate"}


def test_services_and_runs_reach_nats_and_nobody_its_monitor():
    found = ingress(policies({"nats": {"replicaCount": 3}})["nats"])
    services = {"dagit", "scheduler", "launcher", "eventstore"}
    assert found == {"nats": services | {"run-worker", "step-worker"}, 6222: {"nats"}}


def test_only_dagit_and_the_scheduler_reach_code_servers():
    assert ingress(policies({})["user-code"]) == {"grpc": {"dagit", "scheduler"}}


def test_nothing_reaches_what_serves_nobody():
    for name in ("scheduler", "launcher", "eventstore", "migrate", "test", "runs"):
        assert policies({})[name].ingress == []


def test_user_code_does_not_reach_dagit():
    (rule,) = policies({})["dagit"].ingress
    (peer,) = rule._from
    (expression,) = peer.pod_selector.match_expressions
    assert (expression.key, expression.operator, expression.values) == ("component", "NotIn", USER_CODE)


def test_runs_and_code_servers_reach_the_world_unless_told_otherwise():
    found = policies({})
    for name in ("runs", "user-code"):
        last = found[name].egress[-1]
        assert (last.to, last.ports) == (None, None)
    closed = {"networkPolicy": {"runEgress": [], "userCodeEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}
    assert egress(policies(closed)["runs"]) == {53: None, 4222: {"nats"}}
    assert policies(closed)["user-code"].egress[-1].to[0].ip_block.cidr == "10.0.0.0/8"


def test_the_launcher_reaches_the_kubernetes_api():
    api = {"cidr": "10.0.0.1/32", "ports": [16443]}
    rule = policies({"networkPolicy": {"kubernetesApi": api}})["launcher"].egress[-1]
    assert (rule.to[0].ip_block.cidr, [port.port for port in rule.ports]) == ("10.0.0.1/32", [16443])


def test_runs_in_a_namespace_of_their_own_have_their_policy_there_and_reach_nats_here():
    rendering = render({**BASE, "runs": {"namespace": "runs"}})
    policy = rendering.get("NetworkPolicy", "dagwire-runs")
    assert policy.metadata.namespace == "runs"
    nats = rendering.get("NetworkPolicy", "dagwire-nats").spec.ingress[0]._from
    namespaces = {
        tuple(peer.pod_selector.match_expressions[0].values)[-1]: peer.namespace_selector.match_labels for peer in nats
    }
    assert namespaces["step-worker"] == {"kubernetes.io/metadata.name": "runs"}


def test_an_external_nats_and_database_are_reached_at_their_ports():
    values = {
        "nats": {"enabled": False, "url": "nats://a:4333,nats://b", "auth": {"existingSecret": "s"}},
        "postgresql": {"enabled": False, "host": "db", "port": 6432, "auth": {"existingSecret": "s"}},
    }
    found = policies(values)
    assert egress(found["eventstore"]) == {53: None, 4333: None, 4222: None, 6432: None}
    assert not {"nats", "postgresql"} & set(found)


def test_code_servers_elsewhere_are_reached_at_their_ports():
    found = policies({"workspace": {"servers": [{"host": "code.other", "port": 4040}]}})
    assert egress(found["scheduler"])[4040] is None


def test_more_clients_are_let_in_where_the_values_say_so():
    peer = [{"namespaceSelector": {"matchLabels": {"team": "data"}}}]
    found = policies({"networkPolicy": {"dagitFrom": peer, "natsFrom": peer, "monitorFrom": peer}})
    first, test = found["dagit"].ingress[0]._from
    assert first.namespace_selector.match_labels == {"team": "data"}
    assert components([test]) == {"test"}
    nats = {rule.ports[0].port: rule._from[-1].namespace_selector.match_labels for rule in found["nats"].ingress}
    assert nats["nats"] == nats["monitor"] == {"team": "data"}


def test_a_service_for_the_outside_lets_addresses_of_the_outside_in():
    peers = policies({"dagit": {"service": {"type": "LoadBalancer"}}})["dagit"].ingress[0]._from
    assert [peer.ip_block.cidr for peer in peers if peer.ip_block] == ["0.0.0.0/0", "::/0"]


def test_there_are_no_policies_if_none_are_wanted():
    assert policies({"networkPolicy": {"enabled": False}}) == {}


def test_an_ingress_leads_to_dagit_with_tls():
    values = {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
            "labels": {"a": "b"},
            "hosts": [{"host": "dagit.example.org"}, {"host": "b.example.org", "path": "/x", "pathType": "Exact"}],
            "tls": [{"hosts": ["dagit.example.org"], "secretName": "cert"}],
        }
    }
    found = render(values).get("Ingress", "dagwire-dagit")
    assert found.metadata.annotations == {"nginx.ingress.kubernetes.io/proxy-buffering": "off"}
    assert found.metadata.labels["a"] == "b"
    assert (found.spec.ingress_class_name, found.spec.tls[0].secret_name) == ("nginx", "cert")
    paths = [(rule.host, rule.http.paths[0].path, rule.http.paths[0].path_type) for rule in found.spec.rules]
    assert paths == [("dagit.example.org", "/", "Prefix"), ("b.example.org", "/x", "Exact")]
    assert found.spec.rules[0].http.paths[0].backend.service.name == "dagwire-dagit"


def test_a_route_of_a_gateway_elsewhere_leads_to_dagit():
    values = {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["d.example.org"]}}
    rendering = render(values)
    spec = rendering.raw("HTTPRoute", "dagwire-dagit")["spec"]
    assert spec["parentRefs"] == [{"name": "public"}]
    assert spec["hostnames"] == ["d.example.org"]
    (rule,) = spec["rules"]
    assert rule == {"backendRefs": [{"name": "dagwire-dagit", "port": 80}], "timeouts": {"request": "0s"}}
    assert rendering.names("Gateway") == set()


def test_a_gateway_of_its_own_ends_tls_and_sends_plain_requests_there():
    gateway = {"create": True, "className": "envoy", "tlsSecret": "cert"}
    rendering = render({"httpRoute": {"enabled": True, "hostnames": ["d.example.org"], "gateway": gateway}})
    listeners = {one["name"]: one for one in rendering.raw("Gateway", "dagwire-dagit")["spec"]["listeners"]}
    assert listeners["https"]["tls"] == {"mode": "Terminate", "certificateRefs": [{"name": "cert"}]}
    route = rendering.raw("HTTPRoute", "dagwire-dagit")["spec"]
    assert route["parentRefs"] == [{"name": "dagwire-dagit", "sectionName": "https"}]
    redirect = rendering.raw("HTTPRoute", "dagwire-dagit-https")["spec"]
    assert redirect["parentRefs"] == [{"name": "dagwire-dagit", "sectionName": "http"}]
    assert redirect["rules"][0]["filters"][0]["requestRedirect"] == {"scheme": "https", "statusCode": 301}


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer", "ClusterIP"])
def test_dagits_service_has_the_wanted_type_and_ports(kind):
    service = {"type": kind, "port": 8080, "annotations": {"a": "b"}}
    if kind == "NodePort":
        service["nodePort"] = 30080
    found = render({"dagit": {"service": service}}).get("Service", "dagwire-dagit")
    (port,) = found.spec.ports
    assert (found.spec.type, port.port, port.target_port) == (kind, 8080, "http")
    assert port.node_port == service.get("nodePort")
    assert found.metadata.annotations == {"a": "b"}
