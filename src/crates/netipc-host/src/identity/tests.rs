//! What paths tell, one table an orchestrator.

use super::*;
use proptest::prelude::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER_ID: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const POD: &str = "8c51bbf3-4d4e-4c5a-9a43-7a1d1e7f0a21";
const POD_UNDERSCORES: &str = "8c51bbf3_4d4e_4c5a_9a43_7a1d1e7f0a21";

/// `NAME key=value key=value`, with `ID`, `OTHER` and `POD` in the path filled in.
fn read(path: &str) -> (Orchestrator, String) {
    let identity = identify(fill(path).as_bytes());
    let mut text = String::from_utf8(identity.name).unwrap();
    for Label { key, value } in identity.labels {
        text += &format!(" {key}={}", String::from_utf8(value.into()).unwrap());
    }
    let text = text.replace(ID, "ID").replace(OTHER_ID, "OTHER").replace(POD, "POD");
    (identity.orchestrator, text)
}

fn fill(path: &str) -> String {
    path.replace("OTHER", OTHER_ID)
        .replace("ID", ID)
        .replace("POD_", POD_UNDERSCORES)
        .replace("POD", POD)
}

#[track_caller]
fn expect(orchestrator: Orchestrator, cases: &[(&str, &str)]) {
    for (path, text) in cases {
        assert_eq!(read(path), (orchestrator, (*text).to_owned()), "{path}");
    }
}

#[test]
fn systemd_units() {
    expect(
        Orchestrator::Systemd,
        &[
            ("/init.scope", "init.scope unit=init.scope"),
            ("/system.slice", "system.slice unit=system.slice"),
            ("/system.slice/nginx.service", "nginx.service unit=nginx.service slice=system.slice"),
            (
                r"/system.slice/system-getty.slice/getty@tty1.service",
                "getty@tty1.service unit=getty@tty1.service slice=system-getty.slice",
            ),
            (
                r"/system.slice/run-a\x2db.mount",
                "run-a-b.mount unit=run-a-b.mount slice=system.slice",
            ),
            ("/system.slice/_cpu.service", "cpu.service unit=cpu.service slice=system.slice"),
            (
                "/system.slice/web.service/worker",
                "web.service/worker unit=web.service slice=system.slice",
            ),
            (
                "/user.slice/user-1000.slice/session-3.scope",
                "session-3.scope unit=session-3.scope slice=user-1000.slice user_uid=1000",
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope",
                "user@1000.service/app.slice/app-x.scope unit=user@1000.service \
                 slice=user-1000.slice user_uid=1000 user_unit=app-x.scope",
            ),
        ],
    );
}

#[test]
fn docker() {
    expect(
        Orchestrator::Docker,
        &[
            ("/system.slice/docker-ID.scope", "docker-0123456789ab container_id=ID"),
            ("/docker/ID", "docker-0123456789ab container_id=ID"),
            ("/docker/ID/system.slice", "docker-0123456789ab/system.slice container_id=ID"),
            ("/docker/ID/docker/OTHER", "docker-fedcba987654 container_id=OTHER"),
            (
                "/user.slice/user-7.slice/user@7.service/user.slice/docker-ID.scope",
                "docker-0123456789ab container_id=ID",
            ),
        ],
    );
}

#[test]
fn podman() {
    expect(
        Orchestrator::Podman,
        &[
            ("/machine.slice/libpod-ID.scope", "podman-0123456789ab container_id=ID"),
            ("/libpod_parent/libpod-ID", "podman-0123456789ab container_id=ID"),
            (
                "/machine.slice/libpod-ID.scope/container",
                "podman-0123456789ab/container container_id=ID",
            ),
            (
                "/machine.slice/libpod-conmon-ID.scope",
                "podman-monitor-0123456789ab container_id=ID role=monitor",
            ),
            ("/machine.slice/machine-libpod_pod_ID.slice", "podman-pod-0123456789ab pod_id=ID"),
            (
                "/machine.slice/machine-libpod_pod_ID.slice/libpod-OTHER.scope",
                "podman-fedcba987654 container_id=OTHER pod_id=ID",
            ),
        ],
    );
}

#[test]
fn kubernetes_with_the_systemd_driver() {
    let burstable = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podPOD_.slice";
    let guaranteed = "/kubepods.slice/kubepods-podPOD_.slice";
    expect(
        Orchestrator::K8s,
        &[
            ("/kubepods.slice", "kubepods"),
            (
                "/kubepods.slice/kubepods-besteffort.slice",
                "kubepods-besteffort qos_class=besteffort",
            ),
            (burstable, "pod-POD pod_uid=POD qos_class=burstable"),
            (guaranteed, "pod-POD pod_uid=POD qos_class=guaranteed"),
            (
                &format!("{burstable}/cri-containerd-ID.scope"),
                "k8s-0123456789ab pod_uid=POD qos_class=burstable container_id=ID \
                 runtime=containerd",
            ),
            (
                &format!("{guaranteed}/crio-ID.scope/container"),
                "k8s-0123456789ab/container pod_uid=POD qos_class=guaranteed container_id=ID \
                 runtime=cri-o",
            ),
            (
                &format!("{guaranteed}/crio-conmon-ID.scope"),
                "k8s-monitor-0123456789ab pod_uid=POD qos_class=guaranteed container_id=ID \
                 runtime=cri-o role=monitor",
            ),
            (
                &format!("{burstable}/docker-ID.scope"),
                "k8s-0123456789ab pod_uid=POD qos_class=burstable container_id=ID runtime=docker",
            ),
            (
                "/system.slice/containerd.service/kubepods-burstable-podPOD_.slice:cri-containerd:ID",
                "k8s-0123456789ab pod_uid=POD qos_class=burstable container_id=ID \
                 runtime=containerd",
            ),
            (
                "/docker/OTHER/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podPOD_.slice",
                "pod-POD pod_uid=POD qos_class=guaranteed",
            ),
            (
                "/system.slice/cri-containerd-ID.scope",
                "k8s-0123456789ab container_id=ID runtime=containerd",
            ),
        ],
    );
}

#[test]
fn kubernetes_with_the_cgroupfs_driver() {
    let static_pod = "/kubepods/besteffort/pod0123456789abcdef0123456789abcdef";
    expect(
        Orchestrator::K8s,
        &[
            ("/kubepods", "kubepods"),
            ("/kubepods/burstable", "kubepods-burstable qos_class=burstable"),
            ("/kubepods/burstable/podPOD", "pod-POD pod_uid=POD qos_class=burstable"),
            ("/kubepods/podPOD", "pod-POD pod_uid=POD qos_class=guaranteed"),
            (
                "/kubepods/podPOD/ID",
                "k8s-0123456789ab pod_uid=POD qos_class=guaranteed container_id=ID",
            ),
            // Below a folder of the pod's, it is no container of the pod's.
            ("/kubepods/podPOD/x/ID", "pod-POD/x/ID pod_uid=POD qos_class=guaranteed"),
            (
                static_pod,
                "pod-0123456789abcdef0123456789abcdef pod_uid=0123456789abcdef0123456789abcdef \
                 qos_class=besteffort",
            ),
        ],
    );
    // A container that a pod's container runs is the other runtime's.
    expect(
        Orchestrator::Docker,
        &[("/kubepods/podPOD/ID/docker/OTHER", "docker-fedcba987654 container_id=OTHER")],
    );
}

#[test]
fn lxc() {
    expect(
        Orchestrator::Lxc,
        &[
            ("/lxc/web", "web container_name=web"),
            ("/lxc.payload.web", "web container_name=web"),
            ("/lxc.payload/web", "web container_name=web"),
            (
                "/lxc.payload.web/system.slice/nginx.service",
                "web/system.slice/nginx.service container_name=web",
            ),
            ("/lxc.monitor.web", "lxc.monitor.web container_name=web role=monitor"),
            ("/lxc.monitor/web", "lxc.monitor.web container_name=web role=monitor"),
            ("/lxc/outer/lxc/inner", "inner container_name=inner"),
            (r"/machine.slice/machine-lxc\x2d7\x2dbox.scope", "box container_name=box"),
        ],
    );
}

#[test]
fn machines() {
    expect(
        Orchestrator::Kvm,
        &[
            (r"/machine.slice/machine-qemu\x2d1\x2dweb\x2d01.scope", "web-01 machine=web-01"),
            (
                r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/vcpu0",
                "web/libvirt/vcpu0 machine=web",
            ),
            ("/machine/qemu-12-db.libvirt-qemu", "db machine=db"),
            ("/qemu.slice/100.scope", "100 machine=100"),
        ],
    );
    expect(
        Orchestrator::Nspawn,
        &[
            ("/machine.slice/machine-web.scope", "web machine=web"),
            (r"/machine.slice/machine-my\x2dbox.scope/payload", "my-box/payload machine=my-box"),
            ("/machine.slice/systemd-nspawn@web.service", "web machine=web"),
            // No number, so not libvirt's.
            (r"/machine.slice/machine-qemu\x2dx\x2dy.scope", "qemu-x-y machine=qemu-x-y"),
        ],
    );
}

#[test]
fn what_nobody_is_known_to_own_is_named_by_its_path() {
    expect(
        Orchestrator::Unknown,
        &[
            ("/process_api/2aa98b48", "process_api/2aa98b48"),
            ("/docker", "docker"),
            ("/docker/buildkit", "docker/buildkit"),
            ("/lxc", "lxc"),
            ("/a/lxc/b", "a/lxc/b"),
            ("/lxc.payload.", "lxc.payload."),
            ("/x/web.service", "x/web.service"),
            ("/.service", ".service"),
            ("/docker-0123.scop", "docker-0123.scop"),
            ("/podPOD", "podPOD"),
        ],
    );
    // Too short an id, capitals, too short a uid: units or plain folders, not containers.
    for path in [
        "/system.slice/docker-1234.scope",
        "/system.slice/docker-0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef.scope",
        "/kubepods-pod12.slice",
        "/machine.slice/machine-.scope",
    ] {
        assert_eq!(read(path).0, Orchestrator::Systemd, "{path}");
    }
}

#[test]
fn escapes_that_a_name_cannot_hold_stay_as_they_are() {
    for (path, name) in [
        (r"/a\x00b.service", r"a\x00b.service"),
        (r"/a\x2fb.service", r"a\x2fb.service"),
        (r"/a\x2.service", r"a\x2.service"),
        (r"/a\xZZ.service", r"a\xZZ.service"),
        (r"/a\x41\.service", r"aA\.service"),
    ] {
        assert_eq!(identify(path.as_bytes()).name, name.as_bytes(), "{path}");
    }
    assert_eq!(identify(br"/a\xff.service").name, b"a\xff.service");
    assert_eq!(identify(b"/\xff\xfe").name, b"\xff\xfe");
}

#[test]
fn names_fit() {
    let long = "x".repeat(MAX_NAME_BYTES);
    assert_eq!(identify(format!("/{long}").as_bytes()).name, long.as_bytes());
    assert_eq!(identify(format!("/dir/{long}").as_bytes()).name, long.as_bytes());
    assert_eq!(identify(format!("/lxc/web/{long}").as_bytes()).name, long.as_bytes());
    let deep = "/abcdefg".repeat(32);
    assert_eq!(identify(deep.as_bytes()).name, &deep.as_bytes()[1..]);
}

proptest! {
    #[test]
    fn any_path_has_a_name_that_may_be_sent(path in prop::collection::vec(1_u8.., 1..600)) {
        prop_assume!(path.iter().any(|b| *b != b'/'));
        check(&path);
    }

    #[test]
    fn any_likely_path_has_a_name_that_may_be_sent(parts in prop::collection::vec(part(), 1..8)) {
        let path = parts.concat();
        prop_assume!(path.bytes().any(|b| b != b'/'));
        check(fill(&path).as_bytes());
    }
}

fn check(path: &[u8]) {
    let identity = identify(path);
    assert!((1..=MAX_NAME_BYTES).contains(&identity.name.len()));
    assert!(!identity.name.contains(&0));
    for label in identity.labels {
        assert!(!label.value.is_empty() && !label.value.contains(&0), "{label:?}");
    }
}

fn part() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "/",
        "/kubepods",
        "/burstable",
        "/podPOD",
        "/ID",
        "/docker",
        "/lxc",
        "/lxc.payload.",
        "web",
        "/machine-",
        r"qemu\x2d1\x2d",
        r"\x00",
        ".scope",
        ".slice",
        ".service",
        "/user@",
        "1000",
        "/kubepods-podPOD_",
        ":",
        "ID",
        "/libpod-",
        "/crio-",
        "-",
        "_",
        "/lxc.monitor/",
        "\u{e9}",
    ])
    .prop_map(str::to_owned)
}
