//! Robots and API keys, from the command that makes one to the one that ends it.

use super::*;

fn limits(allow: &[&str], repositories: &[&str]) -> Limits {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Limits {
        actions: words(allow),
        repositories: words(repositories),
        expires: Some(Duration::from_hours(24)),
        description: "what for".to_owned(),
    }
}

async fn trail(installation: &Installation) -> Vec<(String, String)> {
    let trail = installation.db.audit_after(0, 100).await.unwrap();
    let entry = |entry: portpass_state::AuditEntry| {
        (entry.record.action, entry.record.object.unwrap_or_default())
    };
    trail.into_iter().map(entry).collect()
}

#[tokio::test]
async fn a_robot_lives_from_add_to_remove() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    let limits = limits(&["pull", "push"], &["team/app-*", "base/**"]);
    let made = installation.add_robot("ci", limits).await.unwrap();
    assert_eq!(made.username, "robot-ci");
    let secret = made.secret.expose_secret();
    assert!(secret.starts_with("ppb_") && secret.len() == 76, "{secret}");
    let json = json!({
        "name": "ci", "username": "robot-ci", "secret": secret, "description": "what for",
        "allow": ["pull", "push"], "repositories": ["team/app-*", "base/**"],
        "status": "enabled", "created_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-01-16T08:00:00Z", "used_at": null,
        "secrets": [{ "created_at": "2027-01-15T08:00:00Z", "expires_at": null, "used_at": null }],
    });
    assert_eq!(made.to_json(), json);

    let again = installation.add_robot("robot-ci", self::limits(&["pull"], &["a"])).await;
    let error = again.unwrap_err();
    assert!(error.hints()[0].contains("portpass robot rotate ci"), "{error}");

    let hour = Duration::from_hours(1);
    let rotated = installation.rotate_robot("robot-ci", hour, Some(2 * hour)).await.unwrap();
    assert_ne!(rotated.issued.secret.expose_secret(), secret);
    assert_eq!(rotated.cut_short, []);
    let robot = installation.robot("ci").await.unwrap();
    let now = installation.now();
    assert_eq!(robot.expires_at, Some(now + 2 * hour));
    let ends: Vec<_> = robot.secrets.iter().map(|secret| secret.expires_at).collect();
    assert_eq!(ends, [None, Some(now + hour)]);

    installation.disable_robot("ci").await.unwrap();
    let status = installation.robot("ci").await.unwrap().status;
    assert_eq!(status, RobotStatus::Disabled { since: now });
    installation.enable_robot("ci").await.unwrap();
    installation.remove_robot("ci").await.unwrap();
    assert_eq!(installation.robots().await.unwrap(), []);
    let gone = installation.rotate_robot("ci", hour, None).await.unwrap_err();
    assert!(matches!(gone, AdminError::UnknownRobot { .. }), "{gone}");

    let actions = ["added", "rotated", "disabled", "enabled", "removed"];
    let expected = actions.map(|word| (format!("robot-{word}"), "robot-ci".to_owned()));
    assert_eq!(trail(&installation).await, expected);
    let record = installation.db.audit_after(0, 1).await.unwrap().remove(0).record;
    assert_eq!(record.detail["allow"], json!(["pull", "push"]));
    assert!(!record.detail.to_string().contains(&secret[..20]));
}

#[tokio::test]
async fn what_cannot_be_a_robot_or_its_limits_is_wrong_usage() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    let no_time = Limits { expires: Some(Duration::ZERO), ..limits(&["pull"], &["a"]) };
    for (name, limits, said) in [
        ("Ci", limits(&["pull"], &["a"]), "lower-case letters"),
        ("robot$ci", limits(&["pull"], &["a"]), "write `ci`"),
        ("ci", limits(&["write"], &["a"]), "`pull`, `push`, `delete` or `*`"),
        ("ci", limits(&["pull"], &["${account}/x"]), "write the name in place"),
        ("ci", limits(&["pull"], &["Team/x"]), "lower case"),
        ("ci", limits(&["pull"], &["a//b"]), "is no pattern"),
        ("ci", no_time, "as in 90d"),
    ] {
        let error = installation.add_robot(name, limits).await.unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(said), "{error}");
    }
    let error = installation.add_user(user("robot-ci", &[])).await.unwrap_err();
    assert!(error.to_string().contains("accounts of robots begin with `robot-`"), "{error}");
    assert!(trail(&installation).await.is_empty());
}

#[tokio::test]
async fn a_key_belongs_to_an_account_of_any_source() {
    let accounts =
        "token_service:\n  accounts:\n    - local: {}\n    - htpasswd: { path: users }\n";
    let fixture = Fixture::new(accounts);
    let installation = fixture.open().await;
    installation.add_user(user("ann", &[])).await.unwrap();
    let of_ann = installation.add_key("ann", limits(&["pull"], &["ann/**"])).await.unwrap();
    let of_other =
        installation.add_key("htpasswd/htuser", limits(&["pull"], &["**"])).await.unwrap();
    let json = of_ann.to_json();
    let id = json["id"].as_str().unwrap();
    assert!(of_ann.secret.expose_secret().starts_with("ppk_"));
    assert_eq!((&json["username"], &json["source"]), (&json!("ann"), &json!("local")));
    assert_eq!(of_other.to_json()["source"], "htpasswd");
    for (name, said) in [("nobody", "nobody"), ("local/htuser", "local/htuser"), ("x/y/z", "x/y")] {
        let error = installation.add_key(name, limits(&["pull"], &["a"])).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    installation.add_robot("ci", limits(&["pull"], &["a"])).await.unwrap();
    let error = installation.add_key("robot-ci", limits(&["pull"], &["a"])).await.unwrap_err();
    assert!(error.to_string().contains("no account of a person"), "{error}");

    let listed = async |account| installation.keys(account).await.unwrap();
    assert_eq!(listed(None).await.len(), 2);
    assert_eq!(listed(Some("ann")).await.iter().map(|key| &key.id).collect::<Vec<_>>(), [id]);
    assert_eq!(listed(Some("htpasswd/htuser")).await.len(), 1);
    let nobody = installation.keys(Some("htpasswd/ann")).await.unwrap_err();
    assert!(matches!(nobody, AdminError::UnknownAccount { .. }), "{nobody}");
    installation.revoke_key(id).await.unwrap();
    for gone in [id, "no-id"] {
        let error = installation.revoke_key(gone).await.unwrap_err();
        assert!(error.hints()[0].contains("portpass key list"), "{error}");
    }
    assert_eq!(listed(Some("ann")).await, []);
    let trail = trail(&installation).await;
    assert_eq!(trail.last().unwrap(), &("api-key-revoked".to_owned(), id.to_owned()));
}

#[tokio::test]
async fn robots_and_keys_are_explained() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    installation.add_user(user("ann", &[])).await.unwrap();
    installation.add_robot("ci", limits(&["push"], &["team/*"])).await.unwrap();
    let key = installation.add_key("ann", limits(&["pull"], &["ann/app"])).await.unwrap();
    let id = key.to_json()["id"].as_str().unwrap().to_owned();
    let explain = async |who: Caller, scope: &str| {
        installation.explain(&who, &Circumstances::default(), &[scope.to_owned()]).await.unwrap()
    };
    for who in [Caller::Robot("ci".to_owned()), Caller::Account("robot-ci".to_owned())] {
        let explained = explain(who, "repository:team/x:pull,push").await;
        assert_eq!(explained.explanations[0].own, ["push"]);
        assert_eq!(explained.obstacle, None);
    }
    let explained = explain(Caller::Key(id.clone()), "repository:ann/app:pull,push").await;
    assert_eq!(explained.explanations[0].granted, ["pull"]);
    assert_eq!(explained.explanations[0].over_ceiling, ["push"]);

    installation.disable_robot("ci").await.unwrap();
    let explained = explain(Caller::Robot("ci".to_owned()), "repository:team/x:push").await;
    assert!(
        explained.obstacle.unwrap().contains("`robot-ci` gets no token: the robot is disabled")
    );
    installation.revoke_key(&id).await.unwrap();
    let (revoked, scope) = (Caller::Key(id), "repository:a:pull".to_owned());
    let error =
        installation.explain(&revoked, &Circumstances::default(), &[scope]).await.unwrap_err();
    assert!(matches!(error, AdminError::UnknownKey { .. }), "{error}");
}
