// Loaded into the measured process (--import, with --expose-gc): collects garbage when told to, so that what remains is what the
// sessions hold.

process.on('SIGUSR2', () => {
  globalThis.gc?.()
  globalThis.gc?.()
})
