//! Folders that are no place for a backup stay as they are.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use portpass_testkit::Portpass;

use crate::{
    PROGRAM,
    world::{BACKUP, back_up, backed_up, backup_of, installation, modes},
};

#[test]
fn what_is_no_backup_of_ours_is_refused_and_left_alone() {
    let portpass = installation();
    let folder = portpass.folder();
    let foreign = folder.join("foreign");
    fs::create_dir_all(foreign.join("blobs/ab")).unwrap();
    fs::write(foreign.join("blobs/ab").join("ab".repeat(16)), "somebody's").unwrap();
    fs::write(folder.join("file"), "").unwrap();
    for (to, said) in [
        ("{folder}/data", "are one inside the other"),
        ("{folder}/data/backup", "are one inside the other"),
        ("{folder}/data/blobs/../backup", "are one inside the other"),
        ("{folder}", "are one inside the other"),
        ("{folder}/foreign", "is not a backup, and contains `blobs`"),
        ("{folder}/file", "/file"),
        ("{folder}/file/backup", "/file"),
        ("/proc/portpass-backup", "/proc/portpass-backup"),
    ] {
        let before = modes(&foreign);
        let ran = back_up(&portpass, to);
        assert_eq!(ran.status, Some(1), "{ran}");
        assert!(ran.stderr.contains(said), "{said:?} is not in {ran}");
        assert_eq!(modes(&foreign), before);
    }
    assert!(!folder.join("data/backup").exists());
    let nowhere = portpass.command(&["backup", BACKUP, "--data", "{folder}/none"], "");
    assert_eq!(nowhere.status, Some(1), "{nowhere}");
    assert!(!backup_of(&portpass).exists(), "nothing is made for an installation that is none");
}

/// Who can write there could lay a link in the way, or put an account of his own into what is restored.
#[test]
fn a_folder_that_others_can_write_to_is_refused_and_left_alone() {
    let portpass = installation();
    let to = backup_of(&portpass);
    fs::create_dir(&to).unwrap();
    for (mode, said) in [(0o777, "mode 777"), (0o770, "mode 770"), (0o1703, "mode 1703")] {
        fs::set_permissions(&to, Permissions::from_mode(mode)).unwrap();
        let ran = back_up(&portpass, BACKUP);
        assert_eq!(ran.status, Some(1), "{ran}");
        assert!(ran.stderr.contains("others can write to") && ran.stderr.contains(said), "{ran}");
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
    }
    fs::set_permissions(&to, Permissions::from_mode(0o755)).unwrap();
    backed_up(&portpass);
    // Also one that was a backup before.
    fs::set_permissions(&to, Permissions::from_mode(0o757)).unwrap();
    back_up(&portpass, BACKUP).expect_failure();
}

#[test]
fn a_backup_of_another_installation_is_left_alone() {
    let (ours, theirs) = (installation(), installation());
    backed_up(&theirs);
    let to = backup_of(&theirs);
    let before = (modes(&to), fs::read(to.join("portpass.db")).unwrap());
    let ran = back_up(&ours, to.to_str().unwrap());
    assert_eq!(ran.status, Some(1), "{ran}");
    assert!(ran.stderr.contains("not a backup of this installation"), "{ran}");
    assert_eq!((modes(&to), fs::read(to.join("portpass.db")).unwrap()), before);
}

/// Otherwise a forgotten timer on the old machine would undo what happens on the new one.
#[test]
fn a_backup_that_was_served_from_is_an_installation_and_written_over_no_more() {
    let portpass = installation();
    backed_up(&portpass);
    let data = backup_of(&portpass);
    let arguments = ["--data", data.to_str().unwrap(), "--addr", "127.0.0.1:0"];
    let served = Portpass::serve(Path::new(PROGRAM), &arguments);
    let ran = back_up(&portpass, BACKUP);
    assert_eq!(ran.status, Some(1), "{ran}");
    assert!(ran.stderr.contains("is not a backup, and contains"), "{ran}");
    drop(served);
    back_up(&portpass, BACKUP).expect_failure();
}
