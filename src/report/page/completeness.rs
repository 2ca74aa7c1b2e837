//! Which chunks are there, array by array: as numbers, and as a picture.

use super::text::{bytes, count, escape, shape};
use crate::report::model::{ArrayOutput, CompletenessMap, Report};

/// Bytes of all pictures together.
const PICTURE_BYTES: usize = 900_000;
/// Arrays in the table.
const SHOWN: usize = 500;
/// Units of the picture that a cell takes at the most.
const CELL: f64 = 14.0;
const WIDTH: f64 = 900.0;

/// Signs of cells, with their colour, for readers of SVG without styles too, and meaning.
const SIGNS: [(char, &str, &str); 5] = [
    ('#', "class=\"written\" fill=\"#1a7f37\"", "written"),
    (
        'o',
        "class=\"filled\" fill=\"#b78103\"",
        "written, partly fill values that no source has given",
    ),
    ('+', "class=\"partly\" fill=\"#7fa8d1\"", "not all written"),
    ('.', "class=\"missing\" fill=\"#b3261e\"", "missing"),
    ('-', "class=\"other\" fill=\"#e4e7eb\"", "not of this run"),
];

pub(super) fn panel(report: &Report) -> String {
    let outputs = &report.outputs;
    let mut html = String::from("<section>\n<h2>Completeness</h2>\n");
    if outputs.arrays.is_empty() {
        html.push_str("<p class=\"soft\">Nothing was to be written.</p>\n</section>\n");
        return html;
    }
    let seen =
        if outputs.is_visible { "Readers see the store." } else { "No reader sees the store." };
    html.push_str(&format!(
        "<p>{} of {} objects are committed, {} of them with fill values, {} are missing. {seen}</p>\n",
        count(outputs.chunks_written),
        count(outputs.chunks_expected),
        count(outputs.chunks_filled),
        count(outputs.chunks_missing),
    ));
    html.push_str(&table(&outputs.arrays));
    html.push_str(&pictures(&outputs.arrays));
    html.push_str("</section>\n");
    html
}

fn table(arrays: &[ArrayOutput]) -> String {
    let rows = arrays.iter().take(SHOWN).map(|array| {
        let (sign, class) = if array.missing > 0 { ("✘", "bad") } else { ("✔", "good") };
        format!(
            "<tr><th scope=\"row\"><span class=\"{class}\">{sign}</span> {}</th><td>{}</td><td>{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>\n",
            escape(&array.name),
            escape(&shape(&array.shape)),
            escape(&shape(&array.unit_shape)),
            count(array.expected),
            count(array.written),
            count(array.filled),
            count(array.missing),
            bytes(array.encoded_bytes),
        )
    });
    let rows: String = rows.collect();
    let more = arrays.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!("<p>and {more} more arrays, in report.json</p>\n")
    } else {
        String::new()
    };
    format!(
        "<div class=\"scroll\"><table>\n<tr><th>Array</th><th>Shape</th><th>In one object</th>\
         <th class=\"n\">Expected</th><th class=\"n\">Written</th><th class=\"n\">Filled</th>\
         <th class=\"n\">Missing</th><th class=\"n\">Bytes</th></tr>\n{rows}</table></div>\n{more}"
    )
}

fn pictures(arrays: &[ArrayOutput]) -> String {
    let items = SIGNS.iter().map(|(sign, class, meaning)| {
        format!(
            "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect width=\"14\" height=\"14\" \
             {class}/></svg><code>{sign}</code> {meaning}</li>\n"
        )
    });
    let mut html = format!("<ul class=\"key\">\n{}</ul>\n", items.collect::<String>());
    let mut left = PICTURE_BYTES;
    let mut left_out = 0_usize;
    // What has gaps is looked at first, and shown whatever else there is no room for.
    let (whole, holed): (Vec<_>, Vec<_>) =
        arrays.iter().partition(|array| array.missing == 0 && array.filled == 0);
    let is_drawn = |array: &&ArrayOutput| array.expected > 1;
    for array in holed.into_iter().chain(whole).filter(is_drawn) {
        let drawn = array.map.as_ref().map(|map| picture(array, map));
        match drawn.filter(|drawn| drawn.len() <= left) {
            Some(drawn) => {
                left -= drawn.len();
                html.push_str(&drawn);
            }
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        html.push_str(&format!(
            "<p class=\"soft\">{left_out} arrays are too many or too large to be drawn.</p>\n"
        ));
    }
    html
}

fn picture(array: &ArrayOutput, map: &CompletenessMap) -> String {
    let (rows, columns) = (map.rows.len(), map.rows.first().map_or(0, |row| row.chars().count()));
    if rows == 0 || columns == 0 {
        return String::new();
    }
    let cell = (WIDTH / columns as f64).min(CELL);
    let (width, height) = (cell * columns as f64, cell * rows as f64);
    let columns_along = map.column_dimensions.join(" × ");
    let along = match &map.row_dimension {
        None => format!("{columns_along} from left to right"),
        Some(row) => format!("{row} from top to bottom, {columns_along} from left to right"),
    };
    let label = format!(
        "{}: {} of {} objects written, {} with fill values, {} missing",
        array.name, array.written, array.expected, array.filled, array.missing
    );
    let mut svg = format!(
        "<h3>{}</h3>\n<p class=\"soft\">{}; {} × {} objects</p>\n<svg viewBox=\"0 0 {width:.1} {height:.1}\" \
         width=\"{width:.0}\" role=\"img\" aria-label=\"{}\">\n",
        escape(&array.name),
        escape(&along),
        count(map.row_units),
        count(map.column_units),
        escape(&label),
    );
    for (first, count, row) in equal_rows(&map.rows) {
        for (from, length, sign) in equal_cells(row) {
            svg.push_str(&cells(sign, cell, (from, length), (first, count)));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Cells of one sign that lie together, with the sign in the middle where it is not the good one.
fn cells(sign: char, cell: f64, columns: (usize, usize), rows: (usize, usize)) -> String {
    let class = SIGNS.iter().find(|(known, ..)| *known == sign).map_or("", |(_, class, _)| class);
    let (x, y) = (cell * columns.0 as f64, cell * rows.0 as f64);
    let (width, height) = (cell * columns.1 as f64, cell * rows.1 as f64);
    // A thin gap shows single cells where they are large enough to be seen.
    let gap = if cell > 6.0 && columns.1 == 1 { 1.0 } else { 0.0 };
    let mut drawn = format!(
        "<rect {class} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
        (width - gap).max(0.5),
        (height - gap).max(0.5)
    );
    if sign != '#' && height >= 9.0 && width >= 9.0 {
        drawn.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{sign}</text>",
            x + width / 2.0,
            y + height / 2.0 + 4.0
        ));
    }
    drawn.push('\n');
    drawn
}

/// Rows that are equal and follow each other: the first, how many, and what they are.
fn equal_rows(rows: &[String]) -> Vec<(usize, usize, &str)> {
    let mut first = 0;
    rows.chunk_by(|a, b| a == b)
        .map(|equal| {
            let run = (first, equal.len(), equal[0].as_str());
            first += equal.len();
            run
        })
        .collect()
}

fn equal_cells(row: &str) -> Vec<(usize, usize, char)> {
    let signs: Vec<char> = row.chars().collect();
    let mut first = 0;
    signs
        .chunk_by(|a, b| a == b)
        .map(|equal| {
            let run = (first, equal.len(), equal[0]);
            first += equal.len();
            run
        })
        .collect()
}
