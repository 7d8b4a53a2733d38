use kithdb_index::*;
use std::time::Instant;
use types::*;
struct Dice(u64);
impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn normal(&mut self) -> f32 {
        let s: f32 = (0..12).map(|_| (self.roll() >> 40) as f32 / (1u32 << 24) as f32).sum();
        s - 6.0
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: u32 = a[1].parse().unwrap();
    let dim: usize = a[2].parse().unwrap();
    let clusters: usize = a[3].parse().unwrap();
    let metric: Metric = a[4].parse().unwrap();
    let mut cd = Dice(77);
    let centres: Vec<Vec<f32>> = (0..clusters).map(|_| (0..dim).map(|_| cd.normal()).collect()).collect();
    let make = |d: &mut Dice| {
        let c = &centres[d.roll() as usize % clusters];
        let mut v: Vec<f32> = c.iter().map(|x| x + 0.5 * d.normal()).collect();
        types::vector::check(&mut v, dim, metric).unwrap();
        v
    };
    let mut d = Dice(12345);
    let head = Head::new(dim, metric);
    let mut alive = Alive::new();
    for i in 0..n {
        let v = make(&mut d);
        head.append(Some(&v));
        alive.insert(Slot(i));
    }
    let qs: Vec<Vec<f32>> = (0..200).map(|_| make(&mut d)).collect();
    let t = Instant::now();
    head.link(&alive, u32::MAX);
    let e = t.elapsed().as_secs_f64();
    println!("{metric} n={n} dim={dim} clusters={clusters}: link {e:.2}s = {:.0}/s", n as f64 / e);
    let view = HeadView { alive: &alive, accept: None, slots_end: n };
    let t = Instant::now();
    let truth: Vec<Vec<Near>> = qs.iter().map(|q| head.scan(q, (0..n).map(Slot), 10)).collect();
    println!("  scan {:.0} us", t.elapsed().as_secs_f64() * 1e6 / 200.0);
    for ef in [32, 64, 100, 200] {
        let t = Instant::now();
        let mut hit = 0;
        for (q, t) in qs.iter().zip(&truth) {
            let r = head.search(q, view, 10, ef);
            hit += t.iter().filter(|x| r.iter().any(|y| y.slot == x.slot)).count();
        }
        println!(
            "  ef {ef}: {:.0} us, recall {:.4}",
            t.elapsed().as_secs_f64() * 1e6 / 200.0,
            hit as f64 / 2000.0
        );
    }
}
