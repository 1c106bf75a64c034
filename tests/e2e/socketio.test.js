// socket.io with `websocket: off`: Weir forwards polls and upgrades as they come, and tunnels what follows.
'use strict';

const { socketioSuite } = require('./lib/socketio_suite');

socketioSuite('off');
