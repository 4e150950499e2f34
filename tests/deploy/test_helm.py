"""The chart: linted and rendered by Helm, held against the schemas of Kubernetes, its NATS read by a real server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from daena_mesh.embedded import find_binary
from daena_mesh.settings import MeshSettings
from mesh_edge.settings import EdgeSettings
from tests.support.real_parties import helm_path

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "daena-mesh"
TOKENS = ("tokens.existingSecret=mesh-tokens",)
VARIANTS = {
    "as it is": TOKENS,
    "everything": (
        *TOKENS,
        *("nats.authSecret=auth", "nats.tlsSecret=tls", "nats.credsSecret=creds", "autoscaling.enabled=true"),
        *("networkPolicies.ingressNamespace=ingress-nginx", "settings.MESH_ORIGINS=https://mesh.example"),
        *("image.digest=sha256:" + "0" * 64, "ingress.className=nginx"),
    ),
    "a NATS that is there": (*TOKENS, "nats.enabled=false", "nats.url=nats://nats.nats:4222", "ingress.enabled=false"),
    "one server, by sockets": (
        *TOKENS,
        *("nats.replicas=1", "autoscaling.keda.enabled=true", "networkPolicies.enabled=false"),
        "autoscaling.keda.prometheusAddress=http://prometheus:9090",
    ),
}
VERSIONS = ("1.27", "1.30", "1.33")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run([str(helm_path()), *arguments], capture_output=True, text=True, check=False)


def setting(values: tuple[str, ...]) -> Iterator[str]:
    """Values as options."""
    for value in values:
        yield from ("--set-string" if "settings." in value else "--set", value)


def rendered(values: tuple[str, ...], version: str = "1.30") -> list[dict[str, Any]]:
    """What Helm would install."""
    told = helm("template", "x", str(CHART), "--namespace", "mesh", "--kube-version", version, *setting(values))
    assert told.returncode == 0, told.stderr
    return [document for document in yaml.safe_load_all(told.stdout) if document]


def of_kind(documents: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Those of a kind, by their names without the release."""
    found = [document for document in documents if document["kind"] == kind]
    return {document["metadata"]["name"].removeprefix("x-daena-mesh").strip("-"): document for document in found}


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_helm_finds_nothing_to_complain_of(values: tuple[str, ...]) -> None:
    told = helm("lint", str(CHART), "--strict", "--kube-version", "1.30", *setting(values))
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_kubernetes_would_take_it(values: tuple[str, ...], version: str) -> None:
    documents = rendered(values, version)
    known = [document for document in documents if document["kind"] != "ScaledObject"]  # KEDA's own, which ships none
    assert len(known) >= 8
    for document in known:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((), "tokens.existingSecret: who may come in"),
        ((*TOKENS, "nats.enabled=false"), "nats.url: where is your NATS"),
        ((*TOKENS, "autoscaling.enabled=true", "autoscaling.keda.enabled=true"), "exclude each other"),
        ((*TOKENS, "autoscaling.keda.enabled=true"), "where is Prometheus"),
        ((*TOKENS, "nats.replicas=2"), "nats.replicas"),
        ((*TOKENS, "image.digest=latest"), "image.digest"),
        ((*TOKENS, "edges.replicas=3"), "edges"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(values: tuple[str, ...], says: str) -> None:
    told = helm("template", "x", str(CHART), "--kube-version", "1.30", *setting(values))
    assert told.returncode != 0
    assert says in re.sub(r"'\.|/", ".", told.stderr).replace("'", ""), told.stderr


def test_pods_are_told_what_the_mesh_reads_and_nothing_else() -> None:
    documents = rendered(VARIANTS["everything"])
    known = {f"MESH_{field.upper()}" for kind in (MeshSettings, EdgeSettings) for field in kind.__struct_fields__}
    known |= {"MESH_TOKEN_KEY_FILE", "MESH_TRUSTED_PROXIES", "MESH_ORIGINS"}
    for deployment in of_kind(documents, "Deployment").values():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert {variable["name"] for variable in container["env"]} <= known
        assert container["image"] == f"daena-mesh@sha256:{'0' * 64}"
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_clients_have_time_to_leave_an_edge() -> None:
    pod = of_kind(rendered((*TOKENS, "edge.drainSeconds=30")), "Deployment")["edge"]["spec"]["template"]["spec"]
    drain = {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}["MESH_DRAIN_S"]
    assert drain == "30"
    # 5 s before it is told to, 30 s of sending away, 8 s of last answers.
    assert pod["terminationGracePeriodSeconds"] >= 5 + 30 + 8


def test_sockets_go_to_edges_and_the_rest_to_apis() -> None:
    (rule,) = of_kind(rendered(TOKENS), "Ingress")[""]["spec"]["rules"]
    paths = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert paths == {"/ws": "x-daena-mesh-edge", "/sse": "x-daena-mesh-edge", "/": "x-daena-mesh-api"}


def test_a_nats_of_ones_own_is_not_brought() -> None:
    documents = rendered(VARIANTS["a NATS that is there"])
    assert not of_kind(documents, "StatefulSet")
    assert set(of_kind(documents, "NetworkPolicy")) == {"api", "edge"}


@pytest.mark.parametrize("name", ["as it is", "everything", "one server, by sockets"])
def test_its_nats_takes_the_configuration(name: str, tmp_path: Path) -> None:
    text = of_kind(rendered(VARIANTS[name]), "ConfigMap")["nats"]["data"]["nats.conf"]
    text = (
        text.replace("include ./auth/auth.conf", "")
        .replace("/etc/nats/tls", str(tmp_path))
        .replace("/data", str(tmp_path))
    )
    make = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    files = ("-keyout", tmp_path / "server-key.pem", "-out", tmp_path / "server.pem", "-subj", "/CN=nats")
    subprocess.run([*make, *files], check=True, capture_output=True)
    (tmp_path / "ca.pem").write_bytes((tmp_path / "server.pem").read_bytes())
    (tmp_path / "nats.conf").write_text(text)
    command = [str(find_binary()), "-t", "-c", str(tmp_path / "nats.conf")]
    told = subprocess.run(command, env={"POD_NAME": "x-0"}, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
