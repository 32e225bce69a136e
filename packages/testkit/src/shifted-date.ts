/** Preloaded into a program: shifts Date by CLOCK_SHIFT_MS, but not timers and performance.now(). */
const shiftMs = Number(process.env['CLOCK_SHIFT_MS'])
const RealDate = Date
const now = (): number => RealDate.now() + shiftMs

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: [], newTarget) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
})
