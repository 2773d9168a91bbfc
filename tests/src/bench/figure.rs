//! A figure, and how figures are shown: a table for people, JSON for programs.

use std::time::Duration;

use serde_json::{Value, json};

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name, as issues and README use it.
    pub id: String,
    /// The number.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// The best it can be, measured in the same run in the same unit.
    pub floor: Option<f64>,
    /// What is promised; a figure without a promise is there to be read with the others.
    pub goal: Option<Goal>,
    /// What was measured, and how.
    pub command: String,
}

/// A promise about a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The number is at most this.
    Value(f64),
    /// The number is at least this.
    Least(f64),
    /// The number is at most this many times its floor.
    Ratio(f64),
}

impl Figure {
    /// A time against its floor: the medians of both.
    pub fn against(id: &'static str, times: &mut [Duration], floor: &mut [Duration], goal: f64, command: String) -> Self {
        let (value, floor) = (median(times) * 1e3, Some(median(floor) * 1e3));
        Self { id: id.into(), value, unit: "ms", floor, goal: Some(Goal::Ratio(goal)), command }
    }

    /// The number in floors.
    pub fn ratio(&self) -> Option<f64> {
        self.floor.filter(|floor| *floor > 0.0).map(|floor| self.value / floor)
    }

    /// Whether the promise is kept; `None` without one, or without the floor it is about.
    pub fn kept(&self) -> Option<bool> {
        match self.goal? {
            Goal::Value(most) => Some(self.value <= most),
            Goal::Least(least) => Some(self.value >= least),
            Goal::Ratio(most) => self.ratio().map(|ratio| ratio <= most),
        }
    }

    fn row(&self) -> String {
        let floor = self.floor.map_or_else(String::new, |floor| format!("{floor:.1}"));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let goal = match self.goal {
            Some(Goal::Value(most)) => format!("≤ {most}"),
            Some(Goal::Least(least)) => format!("≥ {least}"),
            Some(Goal::Ratio(most)) => format!("≤ {most} ×"),
            None => String::new(),
        };
        let kept = self.kept().map_or("", |kept| if kept { "kept" } else { "MISSED" });
        format!("{:<28}{:>10.2} {:<7}{floor:>9}{ratio:>7}  {goal:<9}{kept}", self.id, self.value, self.unit)
    }
}

/// The middle one in seconds; 0 of nothing.
fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

/// For people.
pub fn table(figures: &[Figure]) -> String {
    let head = format!("{:<28}{:>10} {:<7}{:>9}{:>7}  {:<9}", "figure", "value", "unit", "floor", "ratio", "promise");
    let rows: Vec<String> = figures.iter().map(Figure::row).collect();
    format!("{}\n{}\n", head.trim_end(), rows.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n"))
}

/// For programs: a list of `{id, value, unit, floor, ratio, command}`.
pub fn json(figures: &[Figure]) -> Value {
    let one = |figure: &Figure| {
        json!({
            "id": figure.id, "value": figure.value, "unit": figure.unit, "floor": figure.floor, "ratio": figure.ratio(),
            "command": figure.command,
        })
    };
    figures.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Vec<Figure> {
        let ms = Duration::from_millis;
        let figure =
            |id: &str, value, goal| Figure { id: id.into(), value, unit: "MB", floor: None, goal, command: "bench".into() };
        vec![
            Figure::against("deploy", &mut [ms(90), ms(60), ms(70)], &mut [ms(50)], 1.3, "bench: deploy".into()),
            figure("idle", 9.5, Some(Goal::Value(12.0))),
            figure("sinks", 3.25, None),
        ]
    }

    #[test]
    fn people_see_whether_promises_are_kept() {
        let expected = "\
figure                           value unit       floor  ratio  promise
deploy                           70.00 ms          50.0   1.40  ≤ 1.3 ×  MISSED
idle                              9.50 MB                       ≤ 12     kept
sinks                             3.25 MB
";
        assert_eq!(table(&figures()), expected);
    }

    #[test]
    fn programs_see_six_fields() {
        let expected = json!([
            {"id": "deploy", "value": 70.0, "unit": "ms", "floor": 50.0, "ratio": 1.4, "command": "bench: deploy"},
            {"id": "idle", "value": 9.5, "unit": "MB", "floor": null, "ratio": null, "command": "bench"},
            {"id": "sinks", "value": 3.25, "unit": "MB", "floor": null, "ratio": null, "command": "bench"},
        ]);
        assert_eq!(json(&figures()), expected);
    }

    #[test]
    fn a_floor_of_nothing_gives_no_ratio() {
        let figure = Figure::against("x", &mut [Duration::from_secs(1)], &mut [], 1.3, String::new());
        assert_eq!((figure.ratio(), figure.kept()), (None, None));
    }
}
