//! What a refusal of a token service complains of: its own words, read before anything is guessed.

use serde_json::Value;

use super::exchange::Response;

mod clause;

use self::clause::Clause;

/// What is said to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// `account` is another than the Basic user.
    Account,
    /// `client_id` is unknown, or missing.
    ClientId,
    /// `grant_type` is unknown, or missing.
    GrantType,
    /// The account is locked, often after wrong passwords.
    Locked,
    /// It is switched off for a while.
    Maintenance,
    /// Too much was asked.
    RateLimit,
    /// The scope cannot be read.
    Scope,
    /// `service` is unknown, or missing.
    Service,
}

impl Complaint {
    /// Reads an answer that is no success. A page that comes with 200 may say that there is maintenance, and is no
    /// success either.
    pub(super) fn of(response: &Response) -> Option<Self> {
        let page = response.is_html();
        if (response.status.is_success() && !page) || response.status.is_redirection() {
            return None;
        }
        let said = ErrorText::of(response);
        if response.status.is_success() {
            return said.clauses().find_map(|clause| clause.about_the_service());
        }
        let by_codes =
            |read: fn(&str) -> Option<Self>| said.codes.iter().find_map(|code| read(code));
        by_codes(of_a_parameter)
            .or_else(|| said.clauses().find_map(|clause| clause.complaint()))
            .or_else(|| by_codes(of_anything))
    }
}

/// Codes that are of one parameter, whatever the words beside them name: RFC 6749 section 5.2, RFC 8707 section 2.
fn of_a_parameter(code: &str) -> Option<Complaint> {
    Some(match code {
        "invalid_scope" => Complaint::Scope,
        "invalid_target" => Complaint::Service,
        "unsupported_grant_type" => Complaint::GrantType,
        _ => return None,
    })
}

/// Codes that say less than the words beside them: a client is also the service to some (Keycloak), and accounts are
/// locked with the code of too many requests.
fn of_anything(code: &str) -> Option<Complaint> {
    Some(match code {
        "invalid_client" | "unauthorized_client" => Complaint::ClientId,
        "slow_down" | "toomanyrequests" | "too_many_requests" => Complaint::RateLimit,
        _ => return None,
    })
}

/// The words of a body: sentences for people, and codes for programs.
#[derive(Default)]
struct ErrorText {
    sentences: Vec<String>,
    codes: Vec<String>,
}

impl ErrorText {
    fn of(response: &Response) -> Self {
        let mut said = Self::default();
        if let Ok(value) = serde_json::from_slice(&response.body) {
            said.json(&value, 0);
        } else {
            let text = String::from_utf8_lossy(&response.body[..response.body.len().min(READ)]);
            let text = if response.is_html() { without_tags(&text) } else { text.into_owned() };
            said.sentences.push(text);
        }
        said
    }

    /// Every text in it, three levels deep: `error`, `message`, `details`, under whatever name they stand.
    fn json(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) if self.sentences.len() < SENTENCES => {
                let is_code = !text.contains(' ');
                let list = if is_code { &mut self.codes } else { &mut self.sentences };
                list.push(if is_code { text.to_ascii_lowercase() } else { text.clone() });
            }
            Value::Array(all) if depth < 4 => {
                for one in all {
                    self.json(one, depth + 1);
                }
            }
            Value::Object(all) if depth < 4 => {
                for one in all.values() {
                    self.json(one, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn clauses(&self) -> impl Iterator<Item = Clause> {
        let all = self.sentences.iter().flat_map(|text| text.split(['\n', ';']));
        all.flat_map(|line| line.split(". ")).map(Clause::of)
    }
}

/// How much of a body is read.
const READ: usize = 16 * 1024;
const SENTENCES: usize = 32;

/// The text of a page, in small letters; what stands in `<style>` and `<script>` is none.
fn without_tags(page: &str) -> String {
    let page = page.to_ascii_lowercase();
    let mut text = String::new();
    let mut rest = page.as_str();
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push('\n');
        let hidden = ["style", "script"].into_iter().find(|name| tag.starts_with(name));
        let end = hidden.map_or(0, |name| tag.find(&format!("</{name}")).unwrap_or(tag.len()));
        rest = tag[end..].split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests;
