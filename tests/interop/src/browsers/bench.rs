//! A browser, the pages for it and our server, brought together.

use std::{
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use webtransport_session::{Event, SessionId, host::quinn_proto::PeerId};

use super::{Browser, Kind, Tab, chromium::Chromium, firefox::Firefox, web};
use crate::{identity::Identity, node::Node, options::Options};

pub(crate) struct Bench {
    pub(crate) kind: Kind,
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    /// Where the pages are.
    pub(crate) web: SocketAddr,
    program: PathBuf,
    browser: Option<Box<dyn Browser>>,
}

/// Where in a tab a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Page,
    Frame,
    Worker,
}

/// A session that a page has opened, as both ends name it.
pub(crate) struct Opened {
    pub(crate) tab: Tab,
    pub(crate) place: Place,
    pub(crate) peer: PeerId,
    pub(crate) session: SessionId,
}

/// What a function of `page.js` threw.
#[derive(Debug)]
pub(crate) struct PageError(pub(crate) String);

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PageError {}

const PATIENCE: Duration = Duration::from_secs(10);

impl Bench {
    pub(crate) fn new(kind: Kind, program: PathBuf, options: &Options) -> anyhow::Result<Self> {
        Ok(Self {
            kind,
            options: options.clone(),
            identity: Identity::fresh()?,
            web: web::serve()?,
            program,
            browser: None,
        })
    }

    /// The browser, started if none runs.
    pub(crate) fn browser(&mut self) -> anyhow::Result<&mut dyn Browser> {
        if self.browser.is_none() {
            let browser: Box<dyn Browser> = match self.kind {
                Kind::Chromium => Box::new(Chromium::start(&self.program)?),
                Kind::Firefox => Box::new(Firefox::start(&self.program)?),
            };
            self.browser = Some(browser);
        }
        let browser = self.browser.as_mut().context("no browser")?;
        Ok(browser.as_mut())
    }

    /// Ends the browser, if one runs: the next test starts another.
    pub(crate) fn end_browser(&mut self) {
        self.browser = None;
    }

    /// Opens a tab with the page in it.
    pub(crate) fn page(&mut self) -> anyhow::Result<Tab> {
        let url = format!("http://{}/", self.web);
        let browser = self.browser()?;
        let tab = browser.open(&url)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let loaded = browser.evaluate(&tab, "typeof openSession === 'function'");
            if loaded.is_ok_and(|loaded| loaded == true) {
                return Ok(tab);
            }
            anyhow::ensure!(Instant::now() < until, "the page does not load");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn blank(&self) -> String {
        format!("http://{}/blank", self.web)
    }

    /// Calls a function of `page.js`.
    pub(crate) fn call(
        &mut self,
        tab: &Tab,
        place: Place,
        function: &str,
        args: &Value,
    ) -> anyhow::Result<Value> {
        let args = args.as_array().cloned().unwrap_or_default();
        let args = args
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let call = match place {
            Place::Page => format!("{function}({args})"),
            Place::Frame => format!("inFrame('{function}', {args})"),
            Place::Worker => format!("inWorker('{function}', {args})"),
        };
        let expression = format!(
            "(async () => {{ try {{ return JSON.stringify({{ value: (await {call}) ?? null }}); }} \
             catch (error) {{ return JSON.stringify({{ error: String(error) }}); }} }})()"
        );
        let result = self.browser()?.evaluate(tab, &expression)?;
        let result = result
            .as_str()
            .with_context(|| format!("{call} gave {result}"))?;
        let result: Value = serde_json::from_str(result)?;
        if let Some(error) = result["error"].as_str() {
            return Err(PageError(error.to_owned()).into());
        }
        Ok(result["value"].clone())
    }

    /// Calls a function of `page.js` about the session of that tab.
    pub(crate) fn session(
        &mut self,
        opened: &Opened,
        function: &str,
        args: Value,
    ) -> anyhow::Result<Value> {
        let mut all = vec![json!("s")];
        all.extend(args.as_array().cloned().unwrap_or_default());
        self.call(&opened.tab, opened.place, function, &Value::Array(all))
    }

    /// Asks for a session from a new tab; gives what the page then knows of it.
    pub(crate) fn request(
        &mut self,
        node: &Node,
        place: Place,
        path: &str,
        options: Value,
    ) -> anyhow::Result<(Tab, Value)> {
        let tab = self.page()?;
        let url = format!("https://{}{path}", node.address);
        let args = json!(["s", url, self.identity.hash(), options]);
        let state = self.call(&tab, place, "openSession", &args)?;
        Ok((tab, state))
    }

    /// Opens a session from a new tab.
    pub(crate) fn open(&mut self, node: &Node, place: Place, path: &str) -> anyhow::Result<Opened> {
        node.forget();
        let (tab, state) = self.request(node, place, path, json!({}))?;
        anyhow::ensure!(state["ready"]["state"] == "resolved", "not opened: {state}");
        let (peer, session) = node.wait("SessionOpened", PATIENCE, |seen| match seen.event {
            Event::SessionOpened { session, .. } => Some((seen.peer, session)),
            _ => None,
        })?;
        Ok(Opened {
            tab,
            place,
            peer,
            session,
        })
    }

    /// Closes a tab, whatever is in it.
    pub(crate) fn close(&mut self, tab: &Tab) {
        if let Some(browser) = &mut self.browser {
            let _gone = browser.close(tab);
        }
    }
}
