//! What jobs and programs could log in with in place of a sign-in in a browser: sources of accounts, as comments.

use super::file::{DockerAuthFile, GitHubSection, OidcSection};
use crate::translation::{Writer, quoted};

/// Writes a source for each issuer that is known, ready to be uncommented.
pub(super) fn suggest(file: &DockerAuthFile, writer: &mut Writer) {
    let github = file.github_auth.as_ref().and_then(github);
    let oidc = file.oidc_auth.as_ref().and_then(oidc);
    if github.is_none() && oidc.is_none() {
        return;
    }
    writer.line("    # Jobs and programs can log in with a token of their issuer, once these lines are no comments:");
    for line in github.into_iter().chain(oidc).flatten() {
        writer.line(format!("    # {line}"));
    }
}

/// The jobs of the organization.
fn github(section: &GitHubSection) -> Option<Vec<String>> {
    let organization = section.organization.as_deref().filter(|name| !name.is_empty())?;
    Some(vec![
        "- workload:".to_owned(),
        "    name: github".to_owned(),
        "    issuer: https://token.actions.githubusercontent.com".to_owned(),
        "    audience: registry".to_owned(),
        "    accounts:".to_owned(),
        "      - name: \"ci/${claim:repository}\"".to_owned(),
        format!("        when: {{ repository: {} }}", quoted(&format!("{organization}/*"))),
    ])
}

/// Whoever has a token that was made for docker_auth's client.
fn oidc(section: &OidcSection) -> Option<Vec<String>> {
    let issuer = section.issuer.as_deref().filter(|issuer| !issuer.is_empty())?;
    let client = section.client_id.as_deref().unwrap_or("registry");
    let user = section.user_claim.as_deref().unwrap_or("email");
    let mut lines = vec![
        "- workload:".to_owned(),
        "    name: oidc".to_owned(),
        format!("    issuer: {}", quoted(issuer)),
        format!("    audience: {}", quoted(client)),
        "    accounts:".to_owned(),
        format!("      - name: {}", quoted(&format!("oidc/${{claim:{user}}}"))),
        format!("        when: {{ {}: \"**\" }}", quoted(user)),
    ];
    let claims = section.labels_claims.as_deref().unwrap_or_default();
    if !claims.is_empty() {
        let label = |claim: &String| {
            format!("{}: {}", quoted(claim), quoted(&format!("${{claim:{claim}}}")))
        };
        let labels: Vec<String> = claims.iter().map(label).collect();
        lines.push(format!("        labels: {{ {} }}", labels.join(", ")));
    }
    Some(lines)
}
