// While a plugin waits nothing is read; a client that is gone is noticed all the same, and no descriptor outlives it.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { startEcho, openConnections } = require('./lib/echo');
const { rawUpgrade } = require('./lib/raw');
const { frame } = require('./lib/frames');
const { waitFor } = require('./lib/weir');

const plugin = `
return {
    on_message = function(conn, data)
        weir.log.warn("asleep " .. data)
        weir.sleep(3600)
    end,
    on_close = function(conn, code) weir.log.warn("over " .. code) end,
}`;

for (const [how, leave] of Object.entries({
  'is cut': (c) => c.socket.resetAndDestroy(),
  'has ended without a close frame': (c) => c.destroy(),
})) {
  test(`a client that ${how} ends its sleeping session`, async (t) => {
    const weir = await startEcho(t, { keep_alive_interval: 'off' }, { handler: '{lua: sleeper}', files: { 'sleeper.lua': plugin } });
    const clients = await Promise.all(Array.from({ length: 10 }, () => rawUpgrade(weir.port)));
    for (const [i, c] of clients.entries()) {
      c.send(frame({ payload: `${i}.` }));
      await weir.waitForLog(new RegExp(`asleep ${i}\\.`));
    }
    clients.forEach(leave);
    await waitFor(() => openConnections(weir) === 0, { what: 'the sessions to end' });
    await waitFor(() => (weir.log.match(/over 1006/g) ?? []).length === 10, { what: 'on_close of each' });
  });
}
