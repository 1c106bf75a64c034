// socket.io through Weir's own WebSocket proxy: what holds with `websocket: off` holds with `websocket: on`.
'use strict';

const { socketioSuite } = require('./lib/socketio_suite');

socketioSuite('on');
