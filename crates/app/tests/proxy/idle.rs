//! Connections that nginx keeps open to us, and goes on over when it likes.

use std::time::Duration;

use portpass_testkit::Dice;
use tokio::{task::JoinSet, time::sleep};

use super::{World, documented, swap, with_http};

/// How long nginx keeps a connection on which nothing is asked; by default 60 s. Ours live a little longer, as by default.
const NGINX: &str = "keepalive_timeout 1s;";
const OURS: &str = "idle_timeout: 2s";
const CLIENTS: usize = 24;
const REQUESTS: usize = 8;

/// nginx sends what is no GET on a connection of which it does not know yet that we have ended it, and may not send it
/// again: the client is told 502. So it has to be nginx who ends a connection.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_on_a_connection_that_was_idle() {
    let configuration = with_http(&documented("yaml"), OURS);
    let configuration = format!("{configuration}admin: {{ addr: \"127.0.0.1:0\" }}\n");
    let server = documented("nginx");
    let server = swap(&server, "proxy_pass http://127.0.0.1:5000;", "proxy_pass http://portpass;");
    let header = "proxy_http_version 1.1;";
    let server = swap(&server, header, &format!("{header} proxy_set_header Connection \"\";"));
    let upstream = format!("upstream portpass {{ server 127.0.0.1:5000; keepalive 32; {NGINX} }}");
    let world = World::new(&configuration, &format!("{upstream}\n{server}"));

    let seed = Dice::seed("PORTPASS_PAUSES");
    println!("PORTPASS_PAUSES={seed}");
    let mut dice = Dice::new(seed);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, url) = (world.client(), world.url("/oauth/revoke"));
        // Around the end of nginx's patience.
        let pauses: Vec<_> = (0..REQUESTS).map(|_| 800 + dice.below(400) as u64).collect();
        clients.spawn(async move {
            for pause in pauses {
                let answer = client.post(&url).form(&[("token", "none")]).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                sleep(Duration::from_millis(pause)).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }

    let metrics = format!("http://{}/metrics", world.portpass.addresses()[1]);
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = plain.get(metrics).send().await.unwrap().text().await.unwrap();
    let name = "portpass_connections_accepted_total{listener=\"http\"} ";
    let accepted = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<usize>().ok());
    let accepted = accepted.unwrap_or_else(|| panic!("{metrics}"));
    assert!(accepted > CLIENTS, "nginx has ended some of them: {accepted}");
    assert!(accepted < CLIENTS * REQUESTS, "nginx has gone on over some of them: {accepted}");
}
