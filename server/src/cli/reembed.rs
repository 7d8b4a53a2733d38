//! `kithdb reembed`: a collection of documents moved to another model, with a gate before its alias moves.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kithdb::{Error, Result};
use rag::Embedder;
use rag::reembed::{Move, MoveReport, reembed};
use serde_json::{Value, json};

use super::ingest::{bar, show};
use super::open::{DataArgs, ModelArgs};
use super::terminal::{grouped, print, table};

/// Move a collection of documents to another model.
#[derive(Args)]
pub(super) struct Reembed {
    /// The collection that is moved; it stays as it is
    #[arg(value_name = "FROM")]
    from: String,
    /// The new collection; made if it does not exist, gone on with if it does
    #[arg(value_name = "TO")]
    to: String,
    /// Point this alias to the new collection in the end
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
    /// Ask the questions kept with the collection, and stop before the alias if nDCG falls by more than this
    #[arg(long, value_name = "LOSS", requires = "from_model")]
    gate: Option<f64>,
    /// The directory of the model that the collection is of, for the gate
    #[arg(long, value_name = "DIR")]
    from_model: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// The model that it becomes one of
    #[command(flatten)]
    model: ModelArgs,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

impl Reembed {
    pub(super) fn run(self) -> Result<ExitCode> {
        let missing = || Error::invalid("model", "is missing; name the new one with --model or --embed-url");
        let new = self.model.open()?.ok_or_else(missing)?;
        let old = self.from_model.as_deref().map(Embedder::open).transpose()?;
        let db = self.data.open_existing()?;
        let order = Move {
            from: self.from.clone(),
            to: self.to.clone(),
            alias: self.alias.clone(),
            loss_max: self.gate,
        };
        let bar = bar()?;
        let report = reembed(&db, &order, old.as_ref(), &new, &|progress| show(&bar, progress))?;
        bar.finish_and_clear();
        if self.json {
            print(&format!("{}\n", self.to_json(&report)));
        } else {
            print(&self.to_text(&report));
        }
        let is_held = self.alias.is_some() && !report.is_switched;
        Ok(if is_held { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn to_json(&self, report: &MoveReport) -> Value {
        let gate = report
            .gate
            .as_ref()
            .map(|(before, after)| json!({"ndcg_before": before.mean.ndcg, "ndcg_after": after.mean.ndcg}));
        json!({
            "from": self.from, "to": self.to, "documents": report.documents, "unchanged": report.unchanged,
            "removed": report.removed, "chunks": report.chunks, "cut": report.cut, "gate": gate,
            "alias": self.alias, "is_switched": report.is_switched,
        })
    }

    fn to_text(&self, report: &MoveReport) -> String {
        let documents = format!(
            "{} copied, {} unchanged, {} removed",
            grouped(report.documents),
            grouped(report.unchanged),
            grouped(report.removed)
        );
        let mut rows = vec![("documents", documents), ("chunks embedded", grouped(report.chunks))];
        if report.own > 0 {
            rows.push(("written there itself", format!("{}, left as they are", grouped(report.own))));
        }
        if report.retouched > 0 {
            rows.push(("chunks changed by themselves", grouped(report.retouched)));
        }
        if report.cut > 0 {
            rows.push(("longer than the model sees", grouped(report.cut)));
        }
        if let Some((before, after)) = &report.gate {
            let text = format!("nDCG {:.4} before, {:.4} after", before.mean.ndcg, after.mean.ndcg);
            rows.push(("questions", text));
        }
        if let Some(alias) = &self.alias {
            let state = if report.is_switched { "points to it now" } else { "was left where it was" };
            rows.push(("alias", format!("`{alias}` {state}")));
        }
        format!("`{}` into `{}`\n{}", self.from, self.to, table(&rows))
    }
}
