//! Python's `difflib` as Go's port of it works: the unified diff that upstream's messages carry.

use std::collections::HashMap;

/// So many pairs of lines are compared. The algorithm is cubic at its worst, and an object may have millions of lines; what
/// is not compared any more counts as replaced.
const COMPARISONS_MAX: usize = 2_000_000;

struct Matcher<'a> {
    a: Vec<&'a str>,
    b: Vec<&'a str>,
    /// Where each line of `b` stands; lines that are everywhere in a long text are left out.
    places: HashMap<&'a str, Vec<usize>>,
    /// How many pairs may still be compared.
    left: usize,
}

impl<'a> Matcher<'a> {
    fn new(a: Vec<&'a str>, b: Vec<&'a str>) -> Matcher<'a> {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, line) in b.iter().enumerate() {
            places.entry(line).or_default().push(i);
        }
        if b.len() >= 200 {
            let often = b.len() / 100 + 1;
            places.retain(|_, at| at.len() <= often);
        }
        Matcher { a, b, places, left: COMPARISONS_MAX }
    }

    /// The longest common run in a window: (start in a, start in b, length).
    fn longest(&mut self, a_low: usize, a_high: usize, b_low: usize, b_high: usize) -> (usize, usize, usize) {
        let (mut best_i, mut best_j, mut best) = (a_low, b_low, 0);
        if self.left == 0 {
            return (a_low, b_low, 0);
        }
        // The runs that end at the line before, by their last line in b, which only grows.
        let mut lengths: Vec<(usize, usize)> = Vec::new();
        let mut next = Vec::new();
        for i in a_low..a_high {
            let all = self.places.get(self.a[i]).map_or(&[][..], Vec::as_slice);
            let from = all.partition_point(|j| *j < b_low);
            let mut before = lengths.iter().peekable();
            let mut compared = 1;
            for &j in all[from..].iter().take_while(|j| **j < b_high) {
                compared += 1;
                while before.next_if(|(end, _)| end + 1 < j).is_some() {}
                let k = before.peek().filter(|(end, _)| end + 1 == j).map_or(1, |(_, k)| k + 1);
                next.push((j, k));
                if k > best {
                    (best_i, best_j, best) = (i + 1 - k, j + 1 - k, k);
                }
            }
            self.left = self.left.saturating_sub(compared);
            if self.left == 0 {
                return (best_i, best_j, best);
            }
            std::mem::swap(&mut lengths, &mut next);
            next.clear();
        }
        // Lines that are everywhere may still extend the run.
        while best_i > a_low && best_j > b_low && self.a[best_i - 1] == self.b[best_j - 1] {
            (best_i, best_j, best) = (best_i - 1, best_j - 1, best + 1);
        }
        while best_i + best < a_high
            && best_j + best < b_high
            && self.a[best_i + best] == self.b[best_j + best]
        {
            best += 1;
        }
        (best_i, best_j, best)
    }

    fn blocks(&mut self) -> Vec<(usize, usize, usize)> {
        let mut windows = vec![(0, self.a.len(), 0, self.b.len())];
        let mut found = Vec::new();
        while let Some((al, ah, bl, bh)) = windows.pop() {
            let (i, j, k) = self.longest(al, ah, bl, bh);
            if k == 0 {
                continue;
            }
            found.push((i, j, k));
            if al < i && bl < j {
                windows.push((al, i, bl, j));
            }
            if i + k < ah && j + k < bh {
                windows.push((i + k, ah, j + k, bh));
            }
        }
        found.sort_unstable();
        let mut joined: Vec<(usize, usize, usize)> = Vec::new();
        for (i, j, k) in found {
            match joined.last_mut() {
                Some((x, y, n)) if *x + *n == i && *y + *n == j => *n += k,
                _ => joined.push((i, j, k)),
            }
        }
        joined.push((self.a.len(), self.b.len(), 0));
        joined
    }

    fn steps(&mut self) -> Vec<Step> {
        let (mut i, mut j) = (0, 0);
        let mut steps = Vec::new();
        for (x, y, n) in self.blocks() {
            if i < x || j < y {
                steps.push(Step { equal: false, i1: i, i2: x, j1: j, j2: y });
            }
            (i, j) = (x + n, y + n);
            if n > 0 {
                steps.push(Step { equal: true, i1: x, i2: i, j1: y, j2: j });
            }
        }
        steps
    }
}

#[derive(Clone, Copy)]
struct Step {
    equal: bool,
    i1: usize,
    i2: usize,
    j1: usize,
    j2: usize,
}

const CONTEXT: usize = 3;

/// Steps in groups that share their context lines.
fn groups(mut steps: Vec<Step>) -> Vec<Vec<Step>> {
    if let Some(first) = steps.first_mut().filter(|s| s.equal) {
        first.i1 = first.i1.max(first.i2.saturating_sub(CONTEXT));
        first.j1 = first.j1.max(first.j2.saturating_sub(CONTEXT));
    }
    if let Some(last) = steps.last_mut().filter(|s| s.equal) {
        last.i2 = last.i2.min(last.i1 + CONTEXT);
        last.j2 = last.j2.min(last.j1 + CONTEXT);
    }
    let mut all = Vec::new();
    let mut group = Vec::new();
    for mut step in steps {
        if step.equal && step.i2 - step.i1 > 2 * CONTEXT {
            group.push(Step { i2: step.i1 + CONTEXT, j2: step.j1 + CONTEXT, ..step });
            all.push(std::mem::take(&mut group));
            step.i1 = step.i2 - CONTEXT;
            step.j1 = step.j2 - CONTEXT;
        }
        group.push(step);
    }
    if group.len() > 1 || group.len() == 1 && !group[0].equal {
        all.push(group);
    }
    all
}

fn range(start: usize, stop: usize) -> String {
    match stop - start {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        n => format!("{},{n}", start + 1),
    }
}

/// The unified diff of two texts, without file names.
pub(super) fn unified(a: &str, b: &str) -> String {
    let mut matcher = Matcher::new(a.split('\n').collect(), b.split('\n').collect());
    let mut out = String::new();
    let steps = matcher.steps();
    for group in groups(steps) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        out.push_str(&format!("@@ -{} +{} @@\n", range(first.i1, last.i2), range(first.j1, last.j2)));
        for step in &group {
            let mut lines = |sign: char, lines: &[&str]| {
                for line in lines {
                    out.push(sign);
                    out.push_str(line);
                    out.push('\n');
                }
            };
            if step.equal {
                lines(' ', &matcher.a[step.i1..step.i2]);
            } else {
                lines('-', &matcher.a[step.i1..step.i2]);
                lines('+', &matcher.b[step.j1..step.j2]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn one_changed_line_has_three_lines_around_it() {
        let a = "1\n2\n3\n4\n5\n6\n7\n8\n9";
        let b = "1\n2\n3\n4\nx\n6\n7\n8\n9";
        assert_eq!(unified(a, b), "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
        assert_eq!(unified(a, a), "");
    }

    /// Such an update of a pod took minutes.
    #[test]
    fn a_list_that_is_turned_around_is_compared_as_far_as_it_is_worth() {
        let lines = |i: usize| format!("name{i}\nempty{}\nnull{}\n", i % 100, i % 101);
        let a: String = (0..40_000).map(lines).collect();
        let b: String = (0..40_000).rev().map(lines).collect();
        let start = std::time::Instant::now();
        let diff = unified(&a, &b);
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
        let of = |sign: char| diff.lines().filter(|l| l.starts_with(sign)).count();
        assert!(of('-') > 100_000 && of('-') == of('+'), "{} {}", of('-'), of('+'));
    }
}
