//! Passwords that are set.

use super::*;

#[tokio::test]
async fn the_first_password_of_the_administrator_goes_with_its_file() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    let file = installation.config.data.join("admin-password");
    fs::write(&file, "first\n").unwrap();
    for name in ["ann", "admin"] {
        installation.add_user(user(name, &[])).await.unwrap();
    }
    let new = || SecretString::from("new password");
    assert_eq!(installation.set_password("ann", new()).await.unwrap(), None);
    assert!(file.exists());
    assert_eq!(installation.set_password("admin", new()).await.unwrap(), Some(file.clone()));
    assert!(!file.exists());
    assert_eq!(installation.set_password("admin", new()).await.unwrap(), None);
}

/// In characters, not bytes.
#[tokio::test]
async fn a_password_that_is_too_short_is_not_set() {
    let fixture = Fixture::new("token_service: { passwords: { min_length: 10 } }\n");
    let installation = fixture.open().await;
    let with = |password: &str| NewUser { password: password.into(), ..user("ann", &[]) };
    let told = |error: AdminError| format!("{error}; {}", error.hints().join("; "));
    let error = told(installation.add_user(with("пароль789")).await.unwrap_err());
    assert!(error.contains("the password has fewer than 10 characters"), "{error}");
    assert!(error.contains("token_service.passwords.min_length"), "{error}");
    assert!(installation.check_user_exists("ann").await.is_err());
    installation.add_user(with("пароль7890")).await.unwrap();
    let error = told(installation.set_password("ann", "secret".into()).await.unwrap_err());
    assert!(error.contains("fewer than 10") && !error.contains("secret"), "{error}");
    assert!(verifies(&installation, "ann", "пароль7890").await);
}
