//! Messages that tests write themselves: simple packing of 16 bits, both editions.

/// What a message says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// Year, month, day, hour.
    pub(crate) date: [u16; 4],
    /// Hours.
    pub(crate) step: u8,
    /// Hectopascals.
    pub(crate) level: u16,
    /// The member of an ensemble; edition 2 alone has it.
    pub(crate) member: Option<u8>,
    /// Points of a row and rows.
    pub(crate) size: [u16; 2],
    /// Flags of the order of points.
    pub(crate) order: u8,
    /// What is measured: category and number of edition 2, table and number of edition 1.
    pub(crate) parameter: [u8; 2],
    /// What is added to the values, which are the places of points in the file.
    pub(crate) base: u16,
    /// Every so many points are missing; none if 0.
    pub(crate) gap: usize,
}

/// Temperature at 850 hPa on four points.
pub(crate) const PLAIN: Message = Message {
    date: [2024, 1, 15, 6],
    step: 0,
    level: 850,
    member: None,
    size: [3, 2],
    order: 0,
    parameter: [0, 0],
    base: 100,
    gap: 0,
};

/// The same as edition 1 calls it: parameter 130 of table 128.
pub(crate) const PLAIN_1: Message = Message { parameter: [128, 130], ..PLAIN };

impl Message {
    fn point_count(&self) -> usize {
        usize::from(self.size[0]) * usize::from(self.size[1])
    }

    fn is_missing(&self, point: usize) -> bool {
        self.gap > 0 && point.is_multiple_of(self.gap)
    }

    /// The values in the order of the file.
    pub(crate) fn values(&self) -> Vec<f64> {
        let value = |point| {
            if self.is_missing(point) { f64::NAN } else { f64::from(self.base) + point as f64 }
        };
        (0..self.point_count()).map(value).collect()
    }

    /// A bit for every point that has a value.
    fn bitmap(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.point_count().div_ceil(8)];
        for point in (0..self.point_count()).filter(|&point| !self.is_missing(point)) {
            bytes[point / 8] |= 0x80 >> (point % 8);
        }
        bytes
    }

    /// Points that have a value, as integers of two bytes.
    fn packed(&self) -> Vec<u8> {
        let points = (0..self.point_count()).filter(|&point| !self.is_missing(point));
        points.flat_map(|point| (point as u16).to_be_bytes()).collect()
    }

    /// First and last coordinate of an axis in degrees, by the way it runs.
    fn ends(&self, first: i32, count: u16, is_backward: bool) -> [i32; 2] {
        let ends = [first, first + i32::from(count) - 1];
        if is_backward { [ends[1], ends[0]] } else { ends }
    }

    fn latitudes(&self) -> [i32; 2] {
        self.ends(40, self.size[1], self.order & 0x40 == 0)
    }

    fn longitudes(&self) -> [i32; 2] {
        self.ends(10, self.size[0], self.order & 0x80 != 0)
    }

    /// The message as edition 2 writes it.
    pub(crate) fn edition_2(&self) -> Vec<u8> {
        let mut sections = vec![self.section_1(), self.section_3(), self.section_4()];
        sections.extend([self.section_5(), self.section_6(), section(7, &self.packed())]);
        let body: Vec<u8> = sections.concat();
        let length = (16 + body.len() + 4) as u64;
        let head = [&b"GRIB\xff\xff\x00\x02"[..], &length.to_be_bytes()].concat();
        [head, body, b"7777".to_vec()].concat()
    }

    fn section_1(&self) -> Vec<u8> {
        let [year, month, day, hour] = self.date;
        let mut body = vec![0, 0, 0, 0, 4, 0, 1];
        body.extend(year.to_be_bytes());
        // A forecast, or members of an ensemble.
        let kind = if self.member.is_some() { 4 } else { u8::from(self.step > 0) };
        body.extend([month as u8, day as u8, hour as u8, 0, 0, 0, kind]);
        section(1, &body)
    }

    fn section_3(&self) -> Vec<u8> {
        let mut body = vec![0];
        body.extend((self.point_count() as u32).to_be_bytes());
        body.extend([0, 0, 0, 0, 6]);
        body.extend([0; 15]);
        self.size.iter().for_each(|&n| body.extend(u32::from(n).to_be_bytes()));
        body.extend([0; 8]);
        let ([top, bottom], [left, right]) = (self.latitudes(), self.longitudes());
        let micro = |degrees: i32| (degrees as u32 * 1_000_000).to_be_bytes();
        body.extend([micro(top), micro(left)].concat());
        body.push(0x30);
        body.extend([micro(bottom), micro(right), micro(1), micro(1)].concat());
        body.push(self.order);
        section(3, &body)
    }

    fn section_4(&self) -> Vec<u8> {
        let mut body = vec![0, 0, 0, u8::from(self.member.is_some())];
        body.extend(self.parameter);
        body.extend([2, 0, 0, 0, 0, 0, 1, 0, 0, 0, self.step, 100, 0]);
        body.extend((u32::from(self.level) * 100).to_be_bytes());
        body.extend([255; 6]);
        body.extend(self.member.into_iter().flat_map(|member| [3, member, 2]));
        section(4, &body)
    }

    fn section_5(&self) -> Vec<u8> {
        let count = (0..self.point_count()).filter(|&point| !self.is_missing(point)).count();
        let mut body = (count as u32).to_be_bytes().to_vec();
        body.extend([0, 0]);
        body.extend(f32::from(self.base).to_be_bytes());
        body.extend([0, 0, 0, 0, 16, 0]);
        section(5, &body)
    }

    fn section_6(&self) -> Vec<u8> {
        if self.gap == 0 {
            section(6, &[255])
        } else {
            section(6, &[vec![0], self.bitmap()].concat())
        }
    }

    /// The message as edition 1 writes it.
    pub(crate) fn edition_1(&self) -> Vec<u8> {
        let mut sections = vec![self.product_1(), self.grid_1()];
        if self.gap > 0 {
            let bitmap = self.bitmap();
            let unused = (bitmap.len() * 8 - self.point_count()) as u8;
            sections.push(section_1(&[vec![unused, 0, 0], bitmap].concat()));
        }
        let mut data = vec![0, 0, 0];
        data.extend(ibm(self.base));
        data.push(16);
        data.extend(self.packed());
        sections.push(section_1(&data));
        let body = sections.concat();
        let length = (8 + body.len() + 4) as u32;
        let head = [&b"GRIB"[..], &length.to_be_bytes()[1..], &[1]].concat();
        [head, body, b"7777".to_vec()].concat()
    }

    fn product_1(&self) -> Vec<u8> {
        let [year, month, day, hour] = self.date;
        let [table, number] = self.parameter;
        let flags = 0x80 | if self.gap > 0 { 0x40 } else { 0 };
        let mut body = vec![table, 98, 1, 255, flags, number, 100];
        body.extend(self.level.to_be_bytes());
        let of_century = (year - 1) % 100 + 1;
        body.extend([of_century as u8, month as u8, day as u8, hour as u8, 0]);
        body.extend([1, self.step, 0, 0, 0, 0, 0]);
        body.extend([((year - 1) / 100 + 1) as u8, 0, 0, 0]);
        section_1(&body)
    }

    fn grid_1(&self) -> Vec<u8> {
        let mut body = vec![0, 255, 0];
        self.size.iter().for_each(|n| body.extend(n.to_be_bytes()));
        let ([top, bottom], [left, right]) = (self.latitudes(), self.longitudes());
        let milli = |degrees: i32| (degrees as u32 * 1000).to_be_bytes()[1..].to_vec();
        body.extend([milli(top), milli(left), vec![0x80], milli(bottom), milli(right)].concat());
        body.extend([3, 232, 3, 232, self.order, 0, 0, 0, 0]);
        section_1(&body)
    }
}

/// A section of edition 2.
fn section(number: u8, body: &[u8]) -> Vec<u8> {
    let length = (5 + body.len()) as u32;
    [&length.to_be_bytes()[..], &[number], body].concat()
}

/// A section of edition 1, of an even length.
fn section_1(body: &[u8]) -> Vec<u8> {
    let padding = (3 + body.len()) % 2;
    let length = (3 + body.len() + padding) as u32;
    [&length.to_be_bytes()[1..], body, &vec![0; padding]].concat()
}

/// A whole number as System/360 wrote floats: 16 bits are the first of four digits to base 16.
fn ibm(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [0x44, high, low, 0]
}
