---@meta weir
-- The Lua API for editors: completion, hints and checks by lua-language-server (LuaCATS). It describes, and does
-- nothing: it is no plugin, and says so when it is run. What all of this means is in docs/lua-api.md.

---@alias weir.Kind "text"|"binary"
---@alias weir.Headers table<string, string|number|(string|number)[]>

--- What a plugin's file returns.
---@class weir.Plugin
---@field init? fun(config: table)
---@field exit? fun()
---@field on_request? fun(req: weir.Req): boolean?
---@field on_done? fun(req: weir.Req, ending: weir.Ending)
---@field on_open? fun(conn: weir.Conn): boolean?
---@field on_message? fun(conn: weir.Conn, data: string, kind: weir.Kind): (boolean|string)?, weir.Kind?
---@field on_send? fun(conn: weir.Conn, data: string, kind: weir.Kind): (boolean|string)?, weir.Kind?
---@field on_drain? fun(conn: weir.Conn)
---@field on_close? fun(conn: weir.Conn, code: integer, reason: string, ending: weir.Ending)
---@field serve? fun(conn: weir.Conn)

---@class weir.Ending
---@field code integer
---@field reason string
---@field status integer
---@field closed_by "client"|"gateway"
---@field words string
---@field duration number
---@field messages_in integer
---@field messages_out integer
---@field bytes_in integer
---@field bytes_out integer

--- A session.
---@class weir.Conn
---@field id integer
---@field request weir.Req?
---@field remote string?
---@field data table
---@field subprotocol string?
---@field close_code integer?
---@field close_reason string?
local Conn = {}

---@param data string
---@param kind? weir.Kind
---@return true? ok
---@return string? word "full", "closed" or "not utf-8"
function Conn:send(data, kind) end

---@param data string
---@return true? ok
---@return string? word
function Conn:send_text(data) end

---@param data string
---@return true? ok
---@return string? word
function Conn:send_binary(data) end

---@return integer bytes
function Conn:buffered() end

---@param code? integer
---@param reason? string
---@return true? ok
---@return string? word
function Conn:close(code, reason) end

---@param data? string
---@return true? ok
---@return string? word
function Conn:ping(data) end

---@return fun(): string?, weir.Kind?
function Conn:messages() end

---@param topic string
---@return true? ok
---@return string? word "bad topic", "too many" or "closed"
function Conn:subscribe(topic) end

---@param topic string
---@return boolean had_subscribed
function Conn:unsubscribe(topic) end

---@param topic string
---@param data string
---@param kind? weir.Kind
---@return true? ok
---@return string? word "bad topic", "not utf-8" or "nested"
function Conn:publish(topic, data, kind) end

--- A request; its fields are nil once it is over.
---@class weir.Req
---@field id integer
---@field method string
---@field target string
---@field path string
---@field query table<string, string>
---@field query_string string
---@field headers table<string, string>
---@field host string
---@field scheme "http"|"https"|"ws"|"wss"
---@field remote string
---@field remote_port integer
---@field subprotocol string
---@field client_subject string
---@field user string
---@field http_version "1.1"|"1.0"
---@field route string
---@field is_websocket boolean
local Req = {}

---@param options? {subprotocol?: string, headers?: weir.Headers}
---@return true? ok
---@return string? word "not offered" or "closed"
function Req:accept(options) end

---@param status integer
---@param headers? weir.Headers
---@param body? string
---@return true? ok
---@return string? word
function Req:reply(status, headers, body) end

---@param max_size? integer
---@return string? body
---@return string? word "too large" or "closed"
function Req:body(max_size) end

---@param name string
---@return string[]
function Req:header_values(name) end

---@param name string
---@param value string
---@return true? ok
---@return string? word "answered", "closed" or "full"
function Req:add_header(name, value) end

---@param name string
---@param value string
---@return true? ok
---@return string? word
function Req:set_header(name, value) end

---@param name string
---@return true? ok
---@return string? word
function Req:remove_header(name) end

---@param name string
---@param value string
---@return true? ok
---@return string? word
function Req:add_request_header(name, value) end

---@param name string
---@param value string
---@return true? ok
---@return string? word
function Req:set_request_header(name, value) end

---@param name string
---@return true? ok
---@return string? word
function Req:remove_request_header(name) end

---@class weir.Dict
local Dict = {}

---@alias weir.DictValue string|number|boolean

---@param key string
---@return weir.DictValue?
function Dict:get(key) end

---@param key string
---@param value weir.DictValue
---@param ttl? number
---@return true? ok
---@return string? word
function Dict:set(key, value, ttl) end

---@param key string
---@param value weir.DictValue
---@param ttl? number
---@return true? ok
---@return string? word
function Dict:add(key, value, ttl) end

---@param key string
---@param by number
---@param init? number
---@param ttl? number
---@return number? sum
---@return string? word
function Dict:incr(key, by, init, ttl) end

---@param key string
---@return true
function Dict:delete(key) end

---@param key string
---@param ttl number
---@return true? ok
---@return string? word
function Dict:expire(key, ttl) end

---@param key string
---@return number? seconds
---@return string? word
function Dict:ttl(key) end

---@param most? integer
---@return string[]
function Dict:keys(most) end

---@param key string
---@param rate number
---@param burst number
---@param count? number
---@return boolean taken
---@return number? seconds to wait
function Dict:take(key, rate, burst, count) end

---@class weir.Metric
local Metric = {}

---@param by? number
---@param values? (string|number|boolean)[]
---@return true? ok
---@return string? word
function Metric:add(by, values) end

---@param value number
---@param values? (string|number|boolean)[]
---@return true? ok
---@return string? word
function Metric:set(value, values) end

---@param value number
---@param values? (string|number|boolean)[]
---@return true? ok
---@return string? word
function Metric:observe(value, values) end

---@class weir.Timer

---@class weir.Response
---@field status integer
---@field headers table<string, string>
---@field body string
---@field header_values fun(self: weir.Response, name: string): string[]

---@class weir.HttpOptions
---@field url string
---@field method? string
---@field headers? weir.Headers
---@field body? string
---@field timeout? number
---@field max_response? integer
---@field verify? boolean
---@field ca? string
---@field outlive? boolean

weir = {}
---@type table
weir.config = {}
---@type table<string, weir.Dict>
weir.shared = {}
---@type {id: integer, count: integer, exiting: boolean}
weir.worker = {}

---@return number seconds
function weir.now() end

---@param seconds number
function weir.sleep(seconds) end

---@param fn function
---@param ... any
function weir.spawn(fn, ...) end

---@param conn_id integer
---@param data string
---@param kind? weir.Kind
---@return true? ok
---@return string? word
function weir.send(conn_id, data, kind) end

---@param conn_id integer
---@param code? integer
---@param reason? string
---@return true? ok
---@return string? word
function weir.close(conn_id, code, reason) end

---@param topic string
---@param data string
---@param kind? weir.Kind
---@return true? ok
---@return string? word
function weir.publish(topic, data, kind) end

weir.log = {}
function weir.log.debug(...) end
function weir.log.info(...) end
function weir.log.warn(...) end
function weir.log.error(...) end

weir.json = {}
---@type lightuserdata
weir.json.null = nil

---@param value any
---@return string? text
---@return string? words
function weir.json.encode(value) end

---@param text string
---@return any value
---@return string? words
function weir.json.decode(text) end

weir.timer = {}

---@param delay number
---@param fn fun()
---@return weir.Timer
function weir.timer.at(delay, fn) end

---@param interval number
---@param fn fun()
---@return weir.Timer
function weir.timer.every(interval, fn) end

---@param timer weir.Timer
---@return boolean could_have_fired
function weir.timer.cancel(timer) end

weir.http = {}

---@param options weir.HttpOptions
---@return weir.Response?
---@return string? reason
function weir.http.request(options) end

weir.metrics = {}

---@param name string
---@param help string
---@param labels? string[]
---@return weir.Metric
function weir.metrics.counter(name, help, labels) end

---@param name string
---@param help string
---@param labels? string[]
---@return weir.Metric
function weir.metrics.gauge(name, help, labels) end

---@param name string
---@param help string
---@param labels? string[]
---@param buckets? number[]
---@return weir.Metric
function weir.metrics.histogram(name, help, labels, buckets) end

weir.crypto = {}

---@param data string
---@return string digest
function weir.crypto.sha1(data) end

---@param data string
---@return string digest
function weir.crypto.sha256(data) end

---@param key string
---@param data string
---@param algorithm? "sha256"|"sha1"|"sha384"|"sha512"
---@return string mac
function weir.crypto.hmac(key, data, algorithm) end

---@param data string
---@return string text
function weir.crypto.base64_encode(data) end

---@param data string
---@return string text
function weir.crypto.base64url_encode(data) end

---@param text string
---@return string? bytes
---@return string? word
function weir.crypto.base64_decode(text) end

---@param text string
---@return string? bytes
---@return string? word
function weir.crypto.base64url_decode(text) end

---@param n integer
---@return string? bytes
---@return string? word
function weir.crypto.random(n) end

---@param a string
---@param b string
---@return boolean
function weir.crypto.equal(a, b) end

---@param password string
---@param hash string
---@return boolean?
---@return string? word
function weir.crypto.check_password(password, hash) end

---@param data string
---@return string digits
function weir.crypto.hex(data) end

error("weir.d.lua describes the API to editors; it is no plugin")
