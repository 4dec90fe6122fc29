//! What is typed wrong is told so before anything is sent.

use crate::world::Mover;

#[test]
fn places_that_make_no_sense_are_wrong_usage() {
    let mover = Mover::default();
    for (words, said) in [
        (&["pull", "127.0.0.1:1/app", "127.0.0.1:1/other"][..], "not on this machine"),
        (&["push", "127.0.0.1:1/app", "127.0.0.1:1/other"], "not on this machine"),
        (&["pull", "127.0.0.1:1/app", "docker-archive:a.tar", "--all"], "contains one image"),
        (&["pull", "127.0.0.1:1/app", "oci:"], "oci: needs a path"),
        (&["pull", "oci-archive:app.tar", "oci:app"], "`oci-archive:` is not an image"),
        (&["pull", "127.0.0.1:1/app", "oci:app", "--jobs", "0"], "--jobs"),
        (&["pull", "127.0.0.1:1/app", "oci:app", "--platform", "amd64"], "is not a platform"),
    ] {
        let ran = mover.run(words);
        assert_eq!(ran.status, Some(2), "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
    }
}

#[test]
fn what_cannot_be_done_fails_with_a_reason() {
    let mover = Mover::default();
    std::fs::create_dir(mover.home().join("full")).unwrap();
    std::fs::write(mover.home().join("full/thesis.tex"), "years of work").unwrap();
    for (words, said) in [
        (&["pull", "127.0.0.1:1/app", "oci:app"][..], "127.0.0.1:1 cannot be reached"),
        (&["pull", "127.0.0.1:1/app", "oci:full"], "full is not an OCI image layout"),
        (&["push", "oci:nowhere", "127.0.0.1:1/app"], "nowhere is not an OCI image layout"),
        (&["push", "docker-archive:no.tar", "127.0.0.1:1/app"], "no.tar: No such file"),
        (&["push", "docker-archive:full/thesis.tex", "127.0.0.1:1/app"], "is not an archive"),
    ] {
        let ran = mover.run(words);
        assert_eq!(ran.status, Some(1), "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
    }
}
