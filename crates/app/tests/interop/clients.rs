//! Every client, new at home, by the name that its tests have.

use portpass_testkit::{Buildah, Containerd, Dockerd, Helm, Podman, Skopeo};

pub(crate) fn docker() -> Dockerd {
    Dockerd::start()
}

pub(crate) fn skopeo() -> Skopeo {
    Skopeo::default()
}

pub(crate) fn buildah() -> Buildah {
    Buildah::default()
}

pub(crate) fn podman() -> Podman {
    Podman::default()
}

pub(crate) fn containerd() -> Containerd {
    Containerd::start()
}

pub(crate) fn helm() -> Helm {
    Helm::default()
}
