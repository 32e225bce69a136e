/** Loaded before a program: its Date is off by CLOCK_SHIFT_MS, while timers and performance.now() go on as they are. */
const shiftMs = Number(process.env['CLOCK_SHIFT_MS'])
const RealDate = Date
const now = (): number => RealDate.now() + shiftMs

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: [], newTarget) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
})
