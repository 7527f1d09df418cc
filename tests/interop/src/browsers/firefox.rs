//! Firefox, by WebDriver BiDi.

use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Pid;
use serde_json::{Value, json};

use super::{
    Browser, Tab,
    process::{self, Process},
    remote::Remote,
};

pub(crate) struct Firefox {
    process: Process,
    remote: Remote,
    version: String,
}

pub(crate) fn find() -> Option<PathBuf> {
    process::find(&["firefox-esr", "firefox"])
}

/// What would ask, call home or get in the way. Nothing of it is about WebTransport.
const PREFERENCES: &str = r#"
user_pref("app.normandy.enabled", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("toolkit.telemetry.enabled", false);
"#;

impl Firefox {
    pub(crate) fn start(program: &std::path::Path) -> anyhow::Result<Self> {
        let mut process = Process::start(program, "firefox", Some(PREFERENCES), |profile| {
            vec![
                "--headless".into(),
                "--no-remote".into(),
                "--profile".into(),
                profile.display().to_string(),
                "--remote-debugging-port=0".into(),
            ]
        })?;
        let port = process.wait_for("WebDriverBiDiServer.json", |text| {
            let json: Value = serde_json::from_str(text).ok()?;
            u16::try_from(json["ws_port"].as_u64()?).ok()
        })?;
        let mut remote = Remote::connect(port, "/session")?;
        let params = json!({ "capabilities": {} });
        let session = remote.call(None, "session.new", params)?;
        let version = &session["capabilities"]["browserVersion"];
        let version = version.as_str().unwrap_or_default().to_owned();
        Ok(Self {
            process,
            remote,
            version,
        })
    }
}

impl Browser for Firefox {
    fn version(&mut self) -> anyhow::Result<String> {
        Ok(self.version.clone())
    }

    fn open(&mut self, url: &str) -> anyhow::Result<Tab> {
        let params = json!({ "type": "tab" });
        let tab = self.remote.call(None, "browsingContext.create", params)?;
        let id = tab["context"].as_str().context("no context")?.to_owned();
        let params = json!({ "context": id, "url": url, "wait": "complete" });
        self.remote.call(None, "browsingContext.navigate", params)?;
        Ok(Tab {
            session: id.clone(),
            id,
        })
    }

    fn evaluate(&mut self, tab: &Tab, expression: &str) -> anyhow::Result<Value> {
        let params = json!({
            "expression": expression,
            "target": { "context": tab.id },
            "awaitPromise": true,
        });
        let result = self.remote.call(None, "script.evaluate", params)?;
        if let Some(exception) = result.get("exceptionDetails") {
            anyhow::bail!("{expression}: {}", exception["text"]);
        }
        Ok(result["result"]["value"].clone())
    }

    fn navigate(&mut self, tab: &Tab, url: &str) -> anyhow::Result<()> {
        let params = json!({ "context": tab.id, "url": url, "wait": "none" });
        self.remote.send(None, "browsingContext.navigate", params)?;
        Ok(())
    }

    fn reload(&mut self, tab: &Tab) -> anyhow::Result<()> {
        let params = json!({ "context": tab.id, "wait": "none" });
        self.remote.send(None, "browsingContext.reload", params)?;
        Ok(())
    }

    fn close(&mut self, tab: &Tab) -> anyhow::Result<()> {
        let params = json!({ "context": tab.id });
        self.remote.send(None, "browsingContext.close", params)?;
        Ok(())
    }

    fn kill_renderers(&mut self) -> anyhow::Result<()> {
        let renderers = self
            .process
            .below(|line| line.contains("-contentproc") && line.ends_with(" tab"));
        anyhow::ensure!(!renderers.is_empty(), "no content process was found");
        renderers.into_iter().for_each(process::kill);
        Ok(())
    }

    fn quit(&mut self) -> anyhow::Result<()> {
        self.remote.send(None, "browser.close", json!({}))?;
        Ok(())
    }

    fn terminate(&mut self) -> anyhow::Result<()> {
        self.process.terminate()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    fn network_process(&self) -> Option<Pid> {
        None
    }
}
