use kithdb_index::*; use types::*; use std::sync::atomic::*;
struct Dice(u64);
impl Dice { fn roll(&mut self)->u64{ self.0^=self.0<<13; self.0^=self.0>>7; self.0^=self.0<<17; self.0}
 fn normal(&mut self)->f32{ let s:f32=(0..12).map(|_| (self.roll()>>40) as f32/(1u32<<24) as f32).sum(); s-6.0}}
const DIM:usize=24;
fn clustered(metric: Metric, clusters: usize, count: u32, seed: u64) -> Vec<Vec<f32>> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed); let mut cd = Dice(77);
    let centres: Vec<Vec<f32>> = (0..clusters).map(|_| (0..DIM).map(|_| cd.normal()).collect()).collect();
    (0..count).map(|_| { let c=&centres[dice.roll() as usize % clusters]; let length=0.5+(dice.roll()%1000) as f32/500.0;
      let mut v:Vec<f32>=c.iter().map(|x| length*(x+0.3*dice.normal())).collect(); types::vector::check(&mut v,DIM,metric).unwrap(); v}).collect()
}
fn recall(head:&Head, view:HeadView<'_>, qs:&[Vec<f32>], k:usize, ef:usize)->f64{ let (mut f,mut w)=(0,0); for q in qs { let t=head.scan(q,(0..view.slots_end).map(Slot).filter(|s|view.alive.contains(*s)),k); let n=head.search(q,view,k,ef); f+=t.iter().filter(|x|n.iter().any(|y|y.slot==x.slot)).count(); w+=t.len();} f as f64/w as f64}
fn main(){ let metric=Metric::Dot; let vs=clustered(metric,20,10_000,1); let all=clustered(metric,20,200,2); let qs=&all[..40];
 let mut quiet: Vec<std::collections::BTreeSet<u32>>=vec![Default::default();40];
 for (busy,step) in [(false,1u32),(true,300),(true,300),(true,300)] {
  let head=Head::new(DIM,metric); let mut alive=Alive::new();
  for (i,v) in vs[..6000].iter().enumerate(){head.append(Some(v));alive.insert(Slot(i as u32));}
  head.link(&alive,6000); let old=alive.clone(); let view=HeadView{alive:&old,accept:None,slots_end:6000};
  for (i,v) in vs.iter().enumerate().skip(6000){head.append(Some(v));alive.insert(Slot(i as u32));}
  let one=|i:usize| (recall(&head,view,&qs[i..=i],10,40)*10.0).round() as u32;
  if !busy { loop { for i in 0..40 { quiet[i].insert(one(i)); } if !head.link(&alive,step) {break;} } for i in 0..40 { quiet[i].insert(one(i)); }
     println!("quiet outcome sets (not {{10}}): {:?}", quiet.iter().enumerate().filter(|x|x.1.len()>1||!x.1.contains(&10)).collect::<Vec<_>>()); continue; }
  let stop=AtomicBool::new(false); let odd=std::sync::Mutex::new(vec![]); let total=AtomicUsize::new(0);
  std::thread::scope(|s|{ s.spawn(||{ while head.link(&alive,step){} stop.store(true,Ordering::Release); });
   for _ in 0..2 { s.spawn(||{ while !stop.load(Ordering::Acquire){ for i in 0..40 { let r=one(i); total.fetch_add(1,Ordering::Relaxed); if !quiet[i].contains(&r) { odd.lock().unwrap().push((i,r)); } } } }); } });
  println!("busy: {} searches, outcomes never seen in any quiet state: {:?}", total.load(Ordering::Relaxed), odd.into_inner().unwrap());
 }}
