//! What docker calls an image: `busybox` is `docker.io/library/busybox:latest`.

/// Whether two names mean the same image to docker.
pub(super) fn same_reference(one: &str, other: &str) -> bool {
    familiar(one) == familiar(other)
}

/// The shortest form, with its tag.
fn familiar(name: &str) -> String {
    let short = name.strip_prefix("docker.io/").or_else(|| name.strip_prefix("index.docker.io/"));
    let short = short.unwrap_or(name);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let last = short.rsplit('/').next().unwrap_or(short);
    if last.contains(':') { short.to_owned() } else { format!("{short}:latest") }
}

/// The whole form, as containerd keeps it.
pub(super) fn whole(name: &str) -> String {
    let familiar = familiar(name);
    match familiar.split_once('/') {
        None => format!("docker.io/library/{familiar}"),
        // What has a dot or a port, or is this machine, is a registry.
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => familiar,
        Some(_) => format!("docker.io/{familiar}"),
    }
}

/// The tag of a name that [`whole`] gave.
pub(super) fn tag(whole: &str) -> &str {
    whole.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_that_docker_takes_for_one() {
        for (name, same) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("team/app:1", "docker.io/team/app:1"),
            ("localhost/app:1", "localhost/app:1"),
            ("registry.example.com:5000/app", "registry.example.com:5000/app:latest"),
        ] {
            assert!(same_reference(name, same), "{name}");
            assert_eq!(whole(name), same);
        }
        assert!(!same_reference("busybox:1", "busybox:2"));
        assert!(!same_reference("other/busybox", "busybox"));
        assert_eq!(tag("registry.example.com:5000/app:1.2"), "1.2");
    }
}
