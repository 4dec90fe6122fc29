//! A first file with a first account, as distribution makes one (HT3).

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::HtpasswdError;
use crate::format::PasswordHash;

/// A file that was not there, and the account in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Always `docker`.
    pub account: &'static str,
    /// Where its password stands, readable by the owner alone.
    pub password_file: PathBuf,
}

/// Makes the file if there is none: one account `docker` with a password of 256 random bits, hashed
/// with bcrypt at cost 10. `None` where there is one, even an empty one (HT3).
///
/// Unlike distribution it does not log the password, but writes it beside the file, to `NAME.password`.
/// Blocks: for the start only.
pub fn generate_if_missing(
    path: &Path,
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<Option<Generated>, HtpasswdError> {
    if path.try_exists().map_err(|error| HtpasswdError::unreadable(path, &error))? {
        return Ok(None);
    }
    let mut secret = Zeroizing::new([0; 32]);
    random(&mut *secret);
    let mut salt = [0; 16];
    random(&mut salt);
    let password = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
    let hash = PasswordHash::bcrypt(password.as_bytes(), COST, salt);

    let password_file = beside(path);
    let line = format!("{ACCOUNT}:{}", hash.expose());
    let made = make_folder(path)
        .and_then(|()| write_new(&password_file, &[password.as_bytes(), b"\n"]))
        .and_then(|()| write_new(path, &[line.as_bytes()]));
    made.map_err(|error| HtpasswdError::Unwritable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Some(Generated { account: ACCOUNT, password_file }))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".password");
    name.into()
}

fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Writes beside the place and renames, so that the file is there whole or not at all. What a start
/// that broke off has left is replaced.
fn write_new(path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(&draft)?;
    for part in content {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(&draft, path)
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

const ACCOUNT: &str = "docker";
const COST: u8 = 10;
