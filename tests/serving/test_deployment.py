"""The files of recsys_tf/serving/deploy: they parse, agree with one another, and fit what a server really answers."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format  # type: ignore[import-untyped]
from live_server import LiveServer, live_server, save_half_plus

from recsys_tf.config import ServeConfig
from recsys_tf.serving.grpc_client import GrpcPredictClient
from recsys_tf.serving.model_config import ModelConfig, configured_models
from recsys_tf.serving.server.batching_parameters import read_batching_parameters
from recsys_tf.serving.server.observing import METRICS_PATH

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "recsys_tf/serving/deploy"
CONFIG, KUBERNETES = DEPLOY / "config", DEPLOY / "kubernetes"
YAMLS = sorted(DEPLOY.rglob("*.yaml"))
MANIFESTS = [path for path in YAMLS if path.is_relative_to(KUBERNETES) and path.name != "kustomization.yaml"]
VARIANTS = ("base", "gpu", "gcs", "s3")
# The oldest and the newest release that the manifests are for.
RELEASES = ("1.29", "1.37")
KUBECTL = shutil.which("kubectl")


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one is not None]


def only(path: Path) -> dict[str, Any]:
    (document,) = documents(path.read_text(encoding="utf-8"))
    return document


def instructions(name: str) -> list[str]:
    """Return the arguments of every such instruction of the Dockerfile, lines that go on joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


def in_array(instruction: str) -> list[str]:
    """Return an instruction's array, what stands before it left out."""
    strings: list[str] = json.loads(instruction[instruction.index("[") :])
    return strings


def flags(command: list[str]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in command)


def monitoring_path() -> str:
    """Read monitoring.config by the fields of TensorFlow Serving's MonitoringConfig, which no package brings."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="monitoring.proto", package="deployment", syntax="proto3")
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=kinds.TYPE_BOOL, label=kinds.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    file.message_type.add(name="MonitoringConfig").field.add(
        name="prometheus_config",
        number=1,
        type=kinds.TYPE_MESSAGE,
        type_name=".deployment.PrometheusConfig",
        label=kinds.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("deployment.MonitoringConfig"))()
    text_format.Parse((CONFIG / "monitoring.config").read_text(encoding="utf-8"), message)
    assert message.prometheus_config.enable
    return str(message.prometheus_config.path)


MODELS = configured_models((), CONFIG / "models.config")
DEPLOYMENT = only(KUBERNETES / "base/deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
IMAGE_FLAGS = flags(in_array(instructions("ENTRYPOINT")[0])[1:])
COMPOSE = only(DEPLOY / "compose.yaml")
SERVERS = [COMPOSE["services"][name] for name in ("serving", "serving-gpu")]
PROBES = [CONTAINER[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/serving.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that answers x / 2 + 1."""
    return save_half_plus(tmp_path_factory.mktemp("saved") / "1", 1.0)


@pytest.fixture(scope="module")
def server(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The configured models, policies and labels, each model's folder replaced by one with the wanted versions."""
    folder = tmp_path_factory.mktemp("models")
    models = {}
    for name, model in MODELS.items():
        for version in model.wanted.specific or (1,):
            shutil.copytree(saved, folder / name / str(version))
        models[name] = ModelConfig(folder / name, model.wanted, model.labels)
    with live_server(models, batching=read_batching_parameters(CONFIG / "batching_parameters.txt")) as running:
        yield running


@pytest.fixture(scope="module")
def other(saved: Path) -> Iterator[LiveServer]:
    """A server that has none of the configured models."""
    with live_server({"other": saved.parent}) as running:
        yield running


@pytest.fixture(scope="module", params=VARIANTS)
def built(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    if KUBECTL is None:
        pytest.skip("kubectl is not installed")
    command = [KUBECTL, "kustomize", str(KUBERNETES / request.param)]
    return documents(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def of_kind(resources: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [one for one in resources if one["kind"] == kind]
    return found


def test_the_models_that_are_exported_are_served_from_the_mounted_folder() -> None:
    exported = dict(one.split("=") for one in ServeConfig().model)
    assert exported == {name: f"saved_models/{name}" for name in MODELS}
    (mounted,) = [Path(one["mountPath"]) for one in CONTAINER["volumeMounts"] if one["name"] == "models"]
    assert {name: model.folder for name, model in MODELS.items()} == {name: mounted / name for name in MODELS}


def test_labels_point_to_versions_that_are_listed_and_may_do_so_at_the_start() -> None:
    labelled = {name: model for name, model in MODELS.items() if model.labels}
    assert labelled
    for model in labelled.values():
        assert set(model.labels) == {"stable", "canary"}
        assert set(model.labels.values()) <= set(model.wanted.specific)
    assert IMAGE_FLAGS["allow_version_labels_for_unavailable_models"] == "true"


def test_configured_models_and_labels_answer(server: LiveServer) -> None:
    for name, model in MODELS.items():
        for path in ("", *(f"/labels/{label}" for label in model.labels)):
            answer = server.ask("POST", f"/v1/models/{name}{path}:predict", {"instances": [2.0]})
            assert (answer.status, answer.json()) == (200, {"predictions": [2.0]})


def test_batches_run_on_the_cores_that_are_asked_for_and_histories_are_not_filled_up() -> None:
    parameters = read_batching_parameters(CONFIG / "batching_parameters.txt")
    assert str(parameters.num_batch_threads) == CONTAINER["resources"]["requests"]["cpu"]
    assert not parameters.pad_variable_length_inputs
    assert IMAGE_FLAGS["enable_batching"] == "true"


def test_metrics_are_asked_for_where_they_are_exported() -> None:
    path = monitoring_path()
    assert path == METRICS_PATH
    (job,) = only(DEPLOY / "prometheus.yaml")["scrape_configs"]
    assert job["metrics_path"] == path
    annotations = POD["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == path
    assert annotations["prometheus.io/port"] == IMAGE_FLAGS["rest_api_port"]
    (target,) = job["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert port == IMAGE_FLAGS["rest_api_port"]
    assert all(one["networks"]["default"]["aliases"] == [name] for one in SERVERS)


def test_image_and_deployment_start_the_server_with_the_same_flags() -> None:
    assert in_array(instructions("ENTRYPOINT")[0])[:1] == CONTAINER["command"]
    assert flags(CONTAINER["args"]) == IMAGE_FLAGS


def test_files_named_by_flags_are_mounted_from_the_one_folder_of_settings() -> None:
    named = {Path(value) for flag, value in IMAGE_FLAGS.items() if flag.endswith("_file")}
    generated = only(CONFIG / "kustomization.yaml")["configMapGenerator"][0]
    assert named == {Path("/config") / name for name in generated["files"]}
    assert all((CONFIG / path.name).is_file() for path in named)
    assert {"name": "config", "mountPath": "/config", "readOnly": True} in CONTAINER["volumeMounts"]
    assert {"name": "config", "configMap": {"name": generated["name"]}} in POD["spec"]["volumes"]


def test_image_deployment_and_service_agree_on_the_ports() -> None:
    ports = {"grpc": int(IMAGE_FLAGS["port"]), "rest": int(IMAGE_FLAGS["rest_api_port"])}
    assert {one["name"]: one["containerPort"] for one in CONTAINER["ports"]} == ports
    service = only(KUBERNETES / "base/service.yaml")["spec"]
    assert {one["targetPort"]: one["port"] for one in service["ports"]} == ports
    assert {int(port) for port in instructions("EXPOSE")[0].split()} == set(ports.values())
    published = {f"127.0.0.1:{port}:{port}" for port in ports.values()}
    assert all(set(one["ports"]) == published for one in SERVERS)


def test_probes_pass_with_the_model_and_fail_without_it(server: LiveServer, other: LiveServer) -> None:
    assert {probe["port"] for probe in PROBES} == {"rest"}
    for probe in PROBES:
        assert server.ask("GET", probe["path"]).status == 200
        assert other.ask("GET", probe["path"]).status == 404


def test_the_image_is_healthy_with_the_model_and_not_without_it(
    server: LiveServer, other: LiveServer, unused_port: int
) -> None:
    command = in_array(instructions("HEALTHCHECK")[0])
    here = f"/dev/tcp/127.0.0.1/{IMAGE_FLAGS['rest_api_port']}"
    assert here in command[-1]
    for port, healthy in ((server.port, True), (other.port, False), (unused_port, False)):
        script = command[-1].replace(here, f"/dev/tcp/127.0.0.1/{port}")
        done = subprocess.run([*command[:-1], script], timeout=20, capture_output=True)
        assert (done.returncode == 0) == healthy


@pytest.fixture
def unused_port(saved: Path) -> int:
    """A port that nobody listens on any more."""
    with live_server({"other": saved.parent}) as running:
        return running.port


def test_the_image_copies_what_exists_and_is_sent_to_the_builder() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    sources = {part for copy in instructions("COPY") for part in copy.split()[:-1] if not part.startswith("--")}
    assert sources == sent
    assert all((ROOT / source).is_dir() for source in sources)


def test_versions_that_were_taken_back_are_not_sent_to_the_builder() -> None:
    patterns = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    left_out = [pattern for pattern in patterns if pattern.startswith("saved_models/")]

    def is_left_out(path: str) -> bool:
        return any(fnmatch(path, pattern) for pattern in left_out)

    assert is_left_out("saved_models/two_tower/rolled-back-3")
    assert is_left_out("saved_models/two_tower/.3.k2x9")
    assert not is_left_out("saved_models/two_tower/3")


def test_nothing_runs_as_root() -> None:
    user = POD["spec"]["securityContext"]["runAsUser"]
    assert instructions("USER") == [f"{user}:{user}"]
    assert user != 0
    assert all(f"--chown={user}:{user}" in copy for copy in instructions("COPY"))
    for path in KUBERNETES.glob("*/bucket.yaml"):
        assert f"uid={user}" in only(path)["spec"]["mountOptions"]


def test_every_place_uses_the_same_release_of_the_server() -> None:
    arguments = dict(one.split("=", 1) for one in instructions("ARG"))
    release = arguments["SERVING_VERSION"]
    assert CONTAINER["image"] == ServeConfig().docker_image == f"tensorflow/serving:{release}"
    (image,) = only(KUBERNETES / "gpu/kustomization.yaml")["images"]
    gpu = COMPOSE["services"]["serving-gpu"]["build"]["args"]
    assert image == {"name": "tensorflow/serving", "newTag": release + gpu["VARIANT"]}


def test_compose_mounts_what_exists_where_it_is_expected() -> None:
    for service in COMPOSE["services"].values():
        for source, target in (volume.split(":")[:2] for volume in service["volumes"]):
            assert source in COMPOSE["volumes"] or (DEPLOY / source).resolve().exists(), source
            assert Path(target).is_absolute()
    for one in SERVERS:
        assert (DEPLOY / one["build"]["context"]).resolve() == ROOT
        assert (ROOT / one["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
        assert any(start.endswith(f" AS {one['build']['target']}") for start in instructions("FROM"))
        mounted = {target: (DEPLOY / source).resolve() for source, target, _ in (v.split(":") for v in one["volumes"])}
        assert mounted == {"/models": ROOT / "saved_models", "/config": CONFIG}


def test_each_profile_starts_one_server_and_both_start_what_watches_it() -> None:
    profiles = {name: service.get("profiles") for name, service in COMPOSE["services"].items()}
    assert profiles == {"serving": ["cpu"], "serving-gpu": ["gpu"], "prometheus": None, "grafana": None}


def test_every_image_is_pinned() -> None:
    images = [CONTAINER["image"], *(one["image"] for one in COMPOSE["services"].values() if "image" in one)]
    images += [one["image"] for one in only(KUBERNETES / "upload.yaml")["spec"]["containers"]]
    assert len(images) == 4
    assert all(re.fullmatch(r"[a-z/]+:v?\d+(\.\d+)+", image) for image in images)


def test_the_dashboard_asks_for_metrics_that_a_server_exports(server: LiveServer) -> None:
    server.predict({"instances": [1.0]}, model="two_tower")
    server.predict({"instances": ["x"]}, model="two_tower")
    GrpcPredictClient(f"127.0.0.1:{server.grpc_port}").predict("two_tower", {"x": [1.0]})
    exported = server.ask("GET", METRICS_PATH).body.decode()
    names = set(re.findall(r"(?m)^([^#{ ]+)\{", exported))
    labels = {line.split("{")[0]: set(re.findall(r'(\w+)="', line)) for line in exported.splitlines()}
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked = [metric for query in queries for metric in re.findall(r"(:tensorflow:[a-z_:]+)\{", query)]
    assert len(asked) >= len(queries) > 0
    assert set(asked) <= names
    for query in queries:
        known = set.union(*(labels[name] for name in re.findall(r"(:tensorflow:[a-z_:]+)\{", query))) | {"instance"}
        for by in re.findall(r"by \(([^)]*)\)", query):
            assert set(by.split(", ")) <= known, query
        assert set(re.findall(r"(\w+)(?:=~|!=|=)\"", query)) <= known, query


def test_grafana_finds_its_data_source_and_its_dashboard() -> None:
    (source,) = only(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    sources = [panel["datasource"] for panel in DASHBOARD["panels"]]
    sources += [variable["datasource"] for variable in DASHBOARD["templating"]["list"]]
    assert all(one == {"type": source["type"], "uid": source["uid"]} for one in sources)
    name, port = source["url"].removeprefix("http://").split(":")
    assert f"127.0.0.1:{port}:{port}" in COMPOSE["services"][name]["ports"]
    interval = only(DEPLOY / "prometheus.yaml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval
    (provider,) = only(DEPLOY / "grafana/provisioning/dashboards/serving.yaml")["providers"]
    mounts = dict(volume.split(":")[1::-1] for volume in COMPOSE["services"]["grafana"]["volumes"])
    assert (DEPLOY / mounts[provider["options"]["path"]] / "serving.json").is_file()
    assert (DEPLOY / mounts["/etc/grafana/provisioning"] / "dashboards/serving.yaml").is_file()


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_yaml_file_holds_one_mapping(path: Path) -> None:
    assert isinstance(only(path), dict)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_manifests_are_valid_by_the_schemas_of_kubernetes(path: Path, release: str) -> None:
    assert kubernetes_validate.validate(only(path), release, strict=True) == release


def test_a_misspelt_field_is_not_valid() -> None:
    manifest = only(KUBERNETES / "base/deployment.yaml")
    manifest["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(manifest, RELEASES[-1], strict=True)


def test_service_budget_and_autoscaler_find_the_pods() -> None:
    labels = POD["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert only(KUBERNETES / "base/service.yaml")["spec"]["selector"] == labels
    assert only(KUBERNETES / "base/disruption_budget.yaml")["spec"]["selector"]["matchLabels"] == labels
    target = only(KUBERNETES / "base/autoscaler.yaml")["spec"]["scaleTargetRef"]
    assert {key: target[key] for key in ("apiVersion", "kind")} == {
        key: DEPLOYMENT[key] for key in ("apiVersion", "kind")
    }
    assert target["name"] == DEPLOYMENT["metadata"]["name"]
    assert "replicas" not in DEPLOYMENT["spec"]


def test_models_are_uploaded_to_the_volume_that_is_served() -> None:
    claim = only(KUBERNETES / "base/models.yaml")["metadata"]["name"]
    for spec in (POD["spec"], only(KUBERNETES / "upload.yaml")["spec"]):
        (volume,) = [one for one in spec["volumes"] if one["name"] == "models"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim
    assert only(KUBERNETES / "upload.yaml")["spec"]["securityContext"] == {
        key: value for key, value in POD["spec"]["securityContext"].items() if key != "fsGroupChangePolicy"
    }


def test_the_server_outlives_the_wait_before_it_is_stopped() -> None:
    wait = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert wait[0] == "sleep"
    assert 0 < int(wait[1]) < POD["spec"]["terminationGracePeriodSeconds"]


def test_what_kustomize_builds_is_valid_by_the_schemas_of_kubernetes(built: list[dict[str, Any]]) -> None:
    for resource in built:
        for release in RELEASES:
            assert kubernetes_validate.validate(resource, release, strict=True) == release


def test_what_kustomize_builds_holds_the_files_of_settings_themselves(built: list[dict[str, Any]]) -> None:
    settings = of_kind(built, "ConfigMap")
    assert settings["data"] == {
        name: (CONFIG / name).read_text(encoding="utf-8")
        for name in ("models.config", "batching_parameters.txt", "monitoring.config")
    }
    volumes = of_kind(built, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "config", "configMap": {"name": settings["metadata"]["name"]}} in volumes


@pytest.mark.parametrize("built", ["gpu"], indirect=True)
def test_the_gpu_variant_asks_for_one_gpu_and_keeps_the_other_requests(built: list[dict[str, Any]]) -> None:
    deployment = of_kind(built, "Deployment")["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["image"].endswith("-gpu")
    assert container["resources"]["limits"] == {**CONTAINER["resources"]["limits"], "nvidia.com/gpu": "1"}
    assert container["resources"]["requests"] == CONTAINER["resources"]["requests"]
    assert deployment["replicas"] > 1
    assert "HorizontalPodAutoscaler" not in {one["kind"] for one in built}


@pytest.mark.parametrize("built", ["gcs", "s3"], indirect=True)
def test_the_claim_of_a_bucket_variant_takes_that_bucket(built: list[dict[str, Any]]) -> None:
    claim, volume = of_kind(built, "PersistentVolumeClaim")["spec"], of_kind(built, "PersistentVolume")
    assert claim["volumeName"] == volume["metadata"]["name"]
    for key in ("accessModes", "storageClassName"):
        assert claim[key] == volume["spec"][key]
    assert claim["resources"]["requests"]["storage"] == volume["spec"]["capacity"]["storage"]


def test_the_readme_names_files_that_exist() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    paths = re.findall(r"recsys_tf/serving/deploy/[\w./-]+", text)
    assert links
    assert paths
    assert all((DEPLOY / link).exists() for link in links)
    assert all((ROOT / path).exists() for path in paths)
