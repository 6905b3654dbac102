"""The files under packaging/ fit the program: keys, metrics, libraries, times; the unit is what systemd understands.

What only Docker or a Kubernetes cluster can say is not asked here; docs/operating.md says what was tried by hand.
"""
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from support.names import unique
from support.raw import RawSocket, upgrade_request
from support.rpc import Port, port_of
from support.server import ROOT, Server, binary, rest_text, sanitizer

PACKAGING = ROOT / "packaging"
UNIT = PACKAGING / "systemd" / "tidemark.service"
SECRETS = {"hs256_secret": "k" * 40, "storage_url": "postgresql://tidemark@127.0.0.1/tidemark"}
# What PromQL has of its own, and labels that Prometheus adds.
ADDED_LABELS = {"instance", "job", "le"}


def read(name):
    return (PACKAGING / name).read_text()


def documents(name):
    return [document for document in yaml.safe_load_all(read(name)) if document]


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def effective(tmp_path, environment=None, file=None):
    """key -> value as `check-config` prints them, with the secrets' paths put into a directory that is there."""
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
    there = r"(?:%d|/run/secrets|/etc/tidemark/secret|/run/credentials/\S+)/"
    command = [binary(), "check-config"]
    if file is not None:
        (tmp_path / "tidemark.yaml").write_text(re.sub(there, f"{tmp_path}/", file))
        command += ["--config", tmp_path / "tidemark.yaml"]
    environment = {name: re.sub(there, f"{tmp_path}/", value) for name, value in (environment or {}).items()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}


# -- systemd -----------------------------------------------------------------------------------------------------


def systemd_analyze(*arguments):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: Debian's package systemd has it")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True,
                          env={**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0"})


def unit_settings():
    """Section-blind: name -> all its values."""
    settings = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
        settings.setdefault(name, []).append(value)
    return settings


def test_systemd_takes_every_line_of_the_unit(tmp_path):
    unit = tmp_path / "tidemark.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/tidemark", str(binary())))
    (tmp_path / "tidemark.service.d").mkdir()
    shutil.copy(PACKAGING / "systemd" / "postgresql.conf", tmp_path / "tidemark.service.d")
    done = systemd_analyze("verify", "--man=no", str(unit))
    complaints = [line for line in done.stderr.splitlines() if "tidemark" in line or "postgresql.conf" in line]
    assert (done.returncode, complaints) == (0, [])


def test_the_unit_gives_away_little():
    done = systemd_analyze("security", "--offline=true", str(UNIT))
    [level] = re.findall(r"Overall exposure level for tidemark.service: ([\d.]+)", done.stdout)
    assert float(level) <= 1.5, done.stdout


def test_the_units_configuration_is_taken(tmp_path):
    settings = unit_settings()
    variables = dict(value.split("=", 1) for value in settings["Environment"])
    del variables["XDG_RUNTIME_DIR"]
    values = effective(tmp_path, variables, read("systemd/tidemark.yaml"))
    assert values["storage.url"] == "sqlite:/var/lib/tidemark/tidemark.db"
    assert seconds(settings["TimeoutStopSec"][0]) >= seconds(values["drain.grace"]) + 15
    # Each credential that the unit names comes from somewhere.
    assert set(re.findall(r"%d/(\w+)", UNIT.read_text())) == {value.split(":")[0] for value in settings["LoadCredential"]}


def test_the_drop_in_for_postgresql_is_taken(tmp_path):
    both = UNIT.read_text() + read("systemd/postgresql.conf")
    variables = dict(re.findall(r"^Environment=(\w+)=(.*)$", both, re.MULTILINE))
    del variables["XDG_RUNTIME_DIR"]
    without_url = read("systemd/tidemark.yaml").split("storage:")[0]
    assert effective(tmp_path, variables, without_url)["storage.url"].startswith("postgresql:")


# -- containers --------------------------------------------------------------------------------------------------


def dockerfile():
    """The instructions of the last stage: name -> all its arguments."""
    text = re.sub(r"^#.*\n", "", read("docker/Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
    found = {}
    for line in text.split("\nFROM ")[-1].splitlines()[1:]:
        if line:
            found.setdefault(line.split()[0], []).append(line.split(maxsplit=1)[1])
    return found


def packages_of(libraries):
    """Debian's; some are listed below /lib, which is a link to /usr/lib."""
    paths = {path for library in libraries for path in (library, library.removeprefix("/usr"))}
    found = subprocess.run(["dpkg", "-S", *paths], capture_output=True, text=True).stdout
    return set(re.findall(r"^([\w.+-]+)(?::\w+)?: /", found, re.MULTILINE))


def test_the_image_has_the_libraries_that_the_program_needs():
    if sanitizer() is not None:
        pytest.skip("a sanitizer needs libraries of its own")
    wanted = set(re.findall(r"NEEDED.*\[(.+)\]", subprocess.run(["readelf", "-d", binary()], capture_output=True, text=True,
                                                               check=True).stdout))
    resolved = dict(re.findall(r"^\s*(\S+) => (\S+)", subprocess.run(["ldd", binary()], capture_output=True, text=True,
                                                                     check=True).stdout, re.MULTILINE))
    packages = packages_of({os.path.realpath(resolved[name]) for name in wanted})
    installed = set(re.search(r"--no-install-recommends (.*?) &&", dockerfile()["RUN"][0])[1].split())
    assert len(packages) > 10
    # Every Debian has these; the other two are for PostgreSQL's certificates and for the health check.
    always = {"libc6", "libgcc-s1", "libstdc++6"}
    assert packages - always == installed - {"ca-certificates", "curl"}


def test_the_images_settings_are_taken(tmp_path):
    image = dockerfile()
    variables = dict(pair.split("=") for pair in image["ENV"][0].split())
    del variables["XDG_RUNTIME_DIR"]
    values = effective(tmp_path, {**variables, "TIDEMARK_AUTH_HS256_SECRET_FILE": "/run/secrets/hs256_secret"})
    assert values["session.metrics_listen"] == "0.0.0.0:9101" and values["http.listen"] == "0.0.0.0:8080"
    assert image["USER"] == ["10001:10001"] and image["STOPSIGNAL"] == ["SIGTERM"]
    assert image["VOLUME"] == image["WORKDIR"] == ["/var/lib/tidemark"], "storage.url is relative"
    assert "http://127.0.0.1:8080/healthz" in image["HEALTHCHECK"][0]


def test_compose_file(tmp_path):
    [compose] = documents("docker/compose.yaml")
    services = compose["services"]
    node = services["tidemark"]
    values = effective(tmp_path, node["environment"])
    assert values["storage.url"].startswith("postgresql:") and values["log.format"] == "json"
    assert seconds(node["stop_grace_period"]) >= seconds(values["drain.grace"]) + 15
    assert (PACKAGING / "docker" / node["build"]["context"]).resolve() == ROOT
    assert (ROOT / node["build"]["dockerfile"]).is_file()
    for service in services.values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (PACKAGING / "docker" / source).is_dir(), source
        assert set(service.get("depends_on", [])) <= set(services)
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), "nothing here speaks TLS"
    [scraped] = documents("prometheus/prometheus.yml")[0]["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": ["tidemark:9101"]}]


def test_secrets_for_compose_are_made_once(tmp_path):
    script = shutil.copy(PACKAGING / "docker" / "make-secrets", tmp_path)
    subprocess.run([script], check=True)
    secrets = tmp_path / "secrets"
    made = {path.name: path.read_text() for path in secrets.iterdir()}
    assert set(made) == set(documents("docker/compose.yaml")[0]["secrets"])
    assert made["storage_url"] == f"postgresql://tidemark:{made['postgres_password']}@postgres:5432/tidemark"
    assert len(made["hs256_secret"]) >= 32 and made["hs256_secret"] != made["postgres_password"]
    assert secrets.stat().st_mode & 0o777 == 0o700
    subprocess.run([script], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == made


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_kubernetes_manifests(tmp_path, name):
    by_kind = {}
    for document in documents(f"kubernetes/{name}.yaml"):
        by_kind.setdefault(document["kind"], []).append(document)
    [config] = by_kind["ConfigMap"]
    values = effective(tmp_path, file=config["data"]["tidemark.yaml"])
    assert values["storage.url"].startswith(f"{name}:")
    [workload] = by_kind["StatefulSet" if name == "sqlite" else "Deployment"]
    spec, pod = workload["spec"], workload["spec"]["template"]["spec"]
    assert spec["replicas"] == 1
    assert name == "sqlite" or spec["strategy"] == {"type": "Recreate"}, "two nodes on one database do not start"
    [container] = pod["containers"]
    before_drain = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= before_drain + seconds(values["drain.grace"]) + 15
    assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8080, "metrics": 9101}
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    for service in by_kind["Service"]:
        assert service["spec"]["selector"] == labels
        assert all(port["targetPort"] in ports for port in service["spec"]["ports"])
    volumes = {volume["name"] for volume in pod["volumes"] + [c["metadata"] for c in spec.get("volumeClaimTemplates", [])]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert str(pod["securityContext"]["runAsUser"]) == dockerfile()["USER"][0].split(":")[0]


# -- dashboard and alerts ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    """What a node shows on which everything has happened that makes a series: ({series}, {label})."""
    server = Server(tmp_path_factory.mktemp("exposed"), {"limits.connections": 1, "session.grpc_listen": "127.0.0.1:0"})
    server.start()
    try:
        with server.raw(unique("alice")) as held, RawSocket(server.port) as refused:
            held.read_json("synced")
            held.send_json({"type": "no such type", "id": "1"})
            held.read_json("error")
            headers = [("Authorization", f"Bearer {server.token(unique('bob'))}")]
            assert refused.ask(upgrade_request("/api/v1/ws/connect", server.port, headers)).status == 503
        (port := Port(port_of(server))).sessions("backend", roles=["service"]).CreateSession(user_id=unique("carol"))
        port.close()
        server.await_metrics(lambda values: values.get("tidemark_close_codes_total", 0) > 0)
        text = rest_text(server.metrics_port, "/metrics")
    finally:
        server.stop()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return ({re.match(r"\w+", line)[0] for line in lines},
            {label for line in lines for label in re.findall(r'[{,](\w+)="', line)})


def expressions():
    """(where, expr) of each alert and of each curve of the dashboard."""
    for group in documents("prometheus/alerts.yml")[0]["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]
            yield rule["alert"], rule["expr"]
    [source] = documents("grafana/provisioning/datasources/prometheus.yaml")[0]["datasources"]
    for panel in json.loads(read("grafana/dashboards/tidemark.json"))["panels"]:
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == source["uid"]
            yield panel["title"], target["expr"]


def test_every_series_and_label_is_one_that_a_node_has(exposed):
    series, labels = exposed
    used = set()
    for where, expression in expressions():
        names = set(re.findall(r"\b(?:tidemark|websocket|session|statesync|process)_\w+", expression))
        assert names or "up{" in expression, where
        assert names <= series, (where, names - series)
        asked = set(re.findall(r'[{,]\s*(\w+)\s*[=!]', expression))
        asked |= {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        assert asked <= labels | ADDED_LABELS, (where, asked - labels)
        used |= names
    assert len(used) > 30


def test_dashboard_has_no_two_panels_in_one_place():
    panels = json.loads(read("grafana/dashboards/tidemark.json"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 20
    cells = [(x, y) for panel in panels for place in [panel["gridPos"]] for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])]
    assert len(cells) == len(set(cells)) and all(x < 24 for x, _ in cells)
