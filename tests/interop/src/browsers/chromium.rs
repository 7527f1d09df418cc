//! Chromium, by the Chrome DevTools Protocol.

use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Pid;
use serde_json::{Value, json};

use super::{
    Browser, Tab,
    process::{self, Process},
    remote::Remote,
};

pub(crate) struct Chromium {
    process: Process,
    remote: Remote,
}

pub(crate) fn find() -> Option<PathBuf> {
    process::find(&["chromium", "chromium-browser", "google-chrome"])
}

impl Chromium {
    pub(crate) fn start(program: &std::path::Path) -> anyhow::Result<Self> {
        let mut process = Process::start(program, "chromium", None, |profile| {
            let mut args = vec![
                "--headless=new".to_owned(),
                "--disable-gpu".into(),
                "--no-first-run".into(),
                "--disable-background-networking".into(),
                // The tabs of a test are all in front, as a player's is.
                "--disable-background-timer-throttling".into(),
                "--disable-renderer-backgrounding".into(),
                "--remote-debugging-port=0".into(),
                format!("--user-data-dir={}", profile.display()),
            ];
            if rustix::process::geteuid().is_root() {
                args.push("--no-sandbox".into());
            }
            args.push("about:blank".into());
            args
        })?;
        let (port, path) = process.wait_for("DevToolsActivePort", |text| {
            let (port, path) = text.split_once('\n')?;
            Some((port.parse().ok()?, path.trim().to_owned()))
        })?;
        let remote = Remote::connect(port, &path)?;
        Ok(Self { process, remote })
    }
}

impl Browser for Chromium {
    fn version(&mut self) -> anyhow::Result<String> {
        let version = self.remote.call(None, "Browser.getVersion", json!({}))?;
        let product = version["product"].as_str().unwrap_or_default();
        Ok(product.rsplit('/').next().unwrap_or_default().to_owned())
    }

    fn open(&mut self, url: &str) -> anyhow::Result<Tab> {
        let target = self
            .remote
            .call(None, "Target.createTarget", json!({ "url": url }))?;
        let target = target["targetId"].as_str().context("no target")?.to_owned();
        let params = json!({ "targetId": target, "flatten": true });
        let attached = self.remote.call(None, "Target.attachToTarget", params)?;
        let session = attached["sessionId"]
            .as_str()
            .context("no session")?
            .to_owned();
        Ok(Tab {
            id: target,
            session,
        })
    }

    fn evaluate(&mut self, tab: &Tab, expression: &str) -> anyhow::Result<Value> {
        let params = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let result = self
            .remote
            .call(Some(&tab.session), "Runtime.evaluate", params)?;
        if let Some(exception) = result.get("exceptionDetails") {
            anyhow::bail!("{expression}: {exception}");
        }
        Ok(result["result"]["value"].clone())
    }

    fn navigate(&mut self, tab: &Tab, url: &str) -> anyhow::Result<()> {
        self.remote
            .send(Some(&tab.session), "Page.navigate", json!({ "url": url }))?;
        Ok(())
    }

    fn reload(&mut self, tab: &Tab) -> anyhow::Result<()> {
        self.remote
            .send(Some(&tab.session), "Page.reload", json!({}))?;
        Ok(())
    }

    fn close(&mut self, tab: &Tab) -> anyhow::Result<()> {
        self.remote
            .send(None, "Target.closeTarget", json!({ "targetId": tab.id }))?;
        Ok(())
    }

    fn kill_renderers(&mut self) -> anyhow::Result<()> {
        let renderers = self.process.below(|line| line.contains("--type=renderer"));
        anyhow::ensure!(!renderers.is_empty(), "no renderer was found");
        renderers.into_iter().for_each(process::kill);
        Ok(())
    }

    fn quit(&mut self) -> anyhow::Result<()> {
        self.remote.send(None, "Browser.close", json!({}))?;
        Ok(())
    }

    fn terminate(&mut self) -> anyhow::Result<()> {
        self.process.terminate()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    fn network_process(&self) -> Option<Pid> {
        let network = self
            .process
            .below(|line| line.contains("network.mojom.NetworkService"));
        network.first().copied()
    }
}
