//! `leadsync results`: one line a lead, CSV or JSON, for spreadsheets and programs. Fields and their order are fixed.

use std::borrow::Cow;
use std::io::Write;

use serde::Serialize;

use super::args::{ResultsArgs, ResultsFormat};
use super::context::Context;
use super::failure::{Failure, Outcome};
use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::lead::{LeadId, LeadState};
use crate::pipeline::normalise::normalised_email;
use crate::store::{LeadFilter, LeadRecord, Store};

/// Leads read at a time: memory stays the same however many there are.
const PAGE: u32 = 1_000;

/// Runs the command.
pub async fn results(args: &ResultsArgs, context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    let which = LeadFilter {
        states: args.states.clone(),
        run: args.run,
        since: args.since.map(|since| since.moment(opened.now())),
        ..LeadFilter::default()
    };
    let out = std::io::BufWriter::new(std::io::stdout().lock());
    write(&*opened.store, &which, args.format, out).await?;
    opened.store.close().await;
    Ok(Exit::Done)
}

/// A line of the output.
#[derive(Serialize)]
struct Line<'a> {
    id: LeadId,
    destination: Option<&'a str>,
    /// Normalised, prepared or not; as received if it can't be.
    email: Option<Cow<'a, str>>,
    state: LeadState,
    reason: Option<&'a str>,
    remote_id: Option<&'a str>,
    attempts: u32,
    enriched: Option<bool>,
    /// The file it was imported from, or what the inserting program wrote into the column `source`.
    source: Option<&'a str>,
    row: Option<u64>,
    received_at: Option<String>,
    finished_at: Option<String>,
}

const HEADER: [&str; 12] = [
    "id",
    "destination",
    "email",
    "state",
    "reason",
    "remote_id",
    "attempts",
    "enriched",
    "source",
    "row",
    "received_at",
    "finished_at",
];

fn email(lead: &LeadRecord) -> Option<Cow<'_, str>> {
    let prepared =
        lead.prepared.as_ref().map(|prepared| prepared.lead.email.as_str()).filter(|email| !email.is_empty());
    match (prepared, lead.raw.email.as_deref()) {
        (Some(prepared), _) => Some(Cow::Borrowed(prepared)),
        (None, Some(raw)) => Some(normalised_email(raw).map_or(Cow::Borrowed(raw), Cow::Owned)),
        (None, None) => None,
    }
}

impl<'a> Line<'a> {
    fn of(lead: &'a LeadRecord) -> Self {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: lead.id,
            destination: lead.destination.as_deref(),
            email: email(lead),
            state: lead.state,
            reason: lead.reason.as_deref(),
            remote_id: lead.remote_id.as_deref(),
            attempts: lead.attempts,
            enriched: lead.enriched,
            source: lead.origin.as_ref().map(|origin| origin.file.as_str()).or(lead.raw.source.as_deref()),
            row: lead.origin.as_ref().map(|origin| origin.row),
            received_at: time(lead.received_at),
            finished_at: time(lead.finished_at),
        }
    }

    fn cells(&self) -> [String; 12] {
        let text = |value: Option<&str>| value.map_or_else(String::new, no_formula);
        [
            self.id.to_string(),
            text(self.destination),
            text(self.email.as_deref()),
            self.state.to_string(),
            text(self.reason),
            text(self.remote_id),
            self.attempts.to_string(),
            self.enriched.map_or_else(String::new, |enriched| enriched.to_string()),
            text(self.source),
            self.row.map_or_else(String::new, |row| row.to_string()),
            self.received_at.clone().unwrap_or_default(),
            self.finished_at.clone().unwrap_or_default(),
        ]
    }
}

/// A spreadsheet runs cells that begin like a formula; a leading apostrophe makes them text
/// (source: OWASP, "CSV Injection").
fn no_formula(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

async fn write(
    store: &dyn Store,
    which: &LeadFilter,
    format: ResultsFormat,
    mut out: impl Write,
) -> Result<(), Failure> {
    if format == ResultsFormat::Csv {
        writeln!(out, "{}", HEADER.join(","))?;
    }
    let mut after = LeadId(0);
    loop {
        let page = store.leads(which, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        match format {
            ResultsFormat::Csv => {
                let mut csv = csv::WriterBuilder::new().from_writer(Vec::new());
                // Into memory, so writing can only fail for want of it.
                for lead in &page {
                    csv.write_record(Line::of(lead).cells()).map_err(anyhow::Error::from)?;
                }
                out.write_all(&csv.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?)?;
            }
            ResultsFormat::Jsonl => {
                for lead in &page {
                    let line = serde_json::to_string(&Line::of(lead)).map_err(anyhow::Error::from)?;
                    writeln!(out, "{line}")?;
                }
            }
        }
        out.flush()?;
        if page.len() < PAGE as usize {
            break;
        }
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::{FakeStore, lead};
    use crate::lead::{Lead, Prepared};

    async fn written(store: &FakeStore, which: &LeadFilter, format: ResultsFormat) -> String {
        let mut out = Vec::new();
        write(store, which, format, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    fn two() -> FakeStore {
        let mut delivered = lead(1, LeadState::Delivered);
        delivered.remote_id = Some("88231".into());
        delivered.enriched = Some(true);
        delivered.attempts = 1;
        delivered.prepared = Some(Prepared {
            lead: Lead { email: "lead1@example.com".into(), ..Lead::default() },
            ..Prepared::default()
        });
        let mut rejected = lead(2, LeadState::Rejected);
        rejected.raw.email = Some("=HYPERLINK(\"x\")".into());
        rejected.raw.source = Some("Website".into());
        rejected.reason = Some("email: not an address, really".into());
        rejected.origin = None;
        FakeStore::of([delivered, rejected])
    }

    #[tokio::test]
    async fn csv_has_the_fixed_columns_and_no_cell_that_a_spreadsheet_would_run() {
        insta::assert_snapshot!(written(&two(), &LeadFilter::default(), ResultsFormat::Csv).await, @r#"
        id,destination,email,state,reason,remote_id,attempts,enriched,source,row,received_at,finished_at
        1,7targets,lead1@example.com,delivered,,88231,1,true,leads.csv,2,2026-11-22T04:30:59Z,2026-11-22T05:29:59Z
        2,7targets,"'=HYPERLINK(""x"")",rejected,"email: not an address, really",,0,,Website,,2026-11-22T04:30:59Z,2026-11-22T05:29:59Z
        "#);
    }

    #[tokio::test]
    async fn json_lines_have_the_fixed_fields_with_null_for_what_is_absent() {
        insta::assert_snapshot!(written(&two(), &LeadFilter::default(), ResultsFormat::Jsonl).await, @r#"
        {"id":1,"destination":"7targets","email":"lead1@example.com","state":"delivered","reason":null,"remote_id":"88231","attempts":1,"enriched":true,"source":"leads.csv","row":2,"received_at":"2026-11-22T04:30:59Z","finished_at":"2026-11-22T05:29:59Z"}
        {"id":2,"destination":"7targets","email":"=HYPERLINK(\"x\")","state":"rejected","reason":"email: not an address, really","remote_id":null,"attempts":0,"enriched":null,"source":"Website","row":null,"received_at":"2026-11-22T04:30:59Z","finished_at":"2026-11-22T05:29:59Z"}
        "#);
    }

    #[tokio::test]
    async fn all_pages_are_written_each_lead_once() {
        let store = FakeStore::of((1..=2500).map(|id| lead(id, LeadState::Received)));
        let text = written(&store, &LeadFilter::default(), ResultsFormat::Csv).await;
        let ids: Vec<i64> = text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
        assert_eq!(ids, (1..=2500).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_reader_that_has_seen_enough_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let failure = write(&two(), &LeadFilter::default(), ResultsFormat::Csv, Closed).await.unwrap_err();
        assert!(matches!(failure, Failure::PipeClosed));
    }
}
