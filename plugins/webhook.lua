-- Lets a stateless HTTP backend drive sessions: each opening, message and closing is posted to it, and what it answers
-- goes to the client. The next message waits for the answer to the one before. docs/webhook.md has the settings and
-- the forms of events and answers.
local settings = require("lib.settings")

local config = settings.read(weir.config, {
    url = {type = "url", required = true},
    format = {one_of = {"json", "binary"}, default = "json"},
    open = {type = "boolean", default = true},
    close = {type = "boolean", default = true},
    timeout = {type = "number", default = 10, min = 0.001, max = 600, unit = "seconds"},
    retries = {type = "integer", default = 2, min = 0, max = 10},
    on_failure = {one_of = {"close", "ignore"}, default = "close"},
    request_headers = {type = "names", default = {"authorization", "cookie", "origin", "user-agent"}},
    headers = {type = "fields", default = {}},
    secret = {type = "string"},
    max_response = {type = "integer", default = 1048576, min = 0, max = 268435456, unit = "bytes"},
    verify = {type = "boolean", default = true},
    ca = {type = "string"},
})

for name in pairs(config.headers) do
    if name:find("^x%-weir%-") or name == "content-type" then
        error("config.headers must not have " .. name .. ": the plugin sets it", 0)
    end
end

local shown_url = config.url:gsub("//[^/]*@", "//") -- for the log, without a password
local FIRST_PAUSE = 0.2 -- seconds before an opening or closing is told again; then twice as long each time
local ROOM_PAUSE = 0.02 -- until another request may have ended

-- --- asking the backend ---

local function sign(headers, body)
    if not config.secret then
        return
    end
    headers["x-weir-timestamp"] = string.format("%d", weir.now() // 1)
    local signed = {
        headers["x-weir-timestamp"], headers["x-weir-event"], headers["x-weir-conn-id"], headers["x-weir-seq"], body,
    }
    local mac = weir.crypto.hmac(config.secret, table.concat(signed, "."))
    headers["x-weir-signature"] = "sha256=" .. weir.crypto.hex(mac)
end

-- Posts once, when there is room for it: max_http_requests bounds how many posts are under way.
local function post_once(state, event, body, content_type)
    local headers = {}
    for name, value in pairs(config.headers) do
        headers[name] = value
    end
    headers["content-type"] = content_type
    headers["x-weir-event"] = event
    headers["x-weir-conn-id"] = state.id
    headers["x-weir-seq"] = string.format("%d", state.seq)
    sign(headers, body)
    local patience = weir.now() + config.timeout
    while true do
        local answer, why = weir.http.request({
            url = config.url,
            method = "POST",
            headers = headers,
            body = body,
            timeout = config.timeout,
            max_response = config.max_response,
            verify = config.verify,
            ca = config.ca,
            outlive = true, -- the backend hears of what has begun, and of the end after that
        })
        if why ~= "too many requests" or weir.now() > patience then
            return answer, why
        end
        weir.sleep(ROOM_PAUSE)
    end
end

-- `tries`: how often in all. Only what tells the same twice is tried again: never a message.
local function post(state, event, body, content_type, tries)
    local pause = FIRST_PAUSE
    while true do
        tries = tries - 1
        local answer, why = post_once(state, event, body, content_type)
        if answer and answer.status < 500 then
            return answer
        end
        why = why or "status " .. answer.status
        if tries <= 0 then
            return nil, why
        end
        weir.log.info(state.id, event, "is told again:", why)
        weir.sleep(pause)
        pause = pause * 2
    end
end

local function post_json(state, event, fields, tries)
    fields.event = event
    fields.id = state.id
    fields.seq = state.seq
    fields.time = weir.now()
    fields.state = state.kept
    local body, why = weir.json.encode(fields)
    if not body then
        return nil, why
    end
    return post(state, event, body, "application/json", tries)
end

local function post_message(state, data, kind)
    if config.format == "binary" then
        local content_type = kind == "text" and "text/plain; charset=utf-8" or "application/octet-stream"
        return post(state, "message", data, content_type, 1)
    end
    if kind == "text" then
        return post_json(state, "message", {kind = kind, data = data}, 1)
    end
    return post_json(state, "message", {kind = kind, data = weir.crypto.base64_encode(data)}, 1)
end

-- --- what it answers ---

local function send(conn, data, kind)
    local ok, why = conn:send(data, kind)
    if ok or why == "closed" then
        return true
    end
    return nil, "the client could not be sent a message: " .. why
end

local function send_item(conn, item)
    if type(item) == "string" then
        return send(conn, item, "text")
    end
    if type(item) == "table" and type(item.text) == "string" then
        return send(conn, item.text, "text")
    end
    if type(item) == "table" and type(item.binary) == "string" then
        local bytes = weir.crypto.base64_decode(item.binary)
        if bytes then
            return send(conn, bytes, "binary")
        end
    end
    return nil, "an item of send is neither text nor {text} nor {binary} in base64"
end

local function close(conn, code, reason)
    local may_be_sent = math.type(code) == "integer" and
        ((code >= 1000 and code <= 1014 and code ~= 1004 and code ~= 1005 and code ~= 1006) or
         (code >= 3000 and code <= 4999))
    if not may_be_sent or #reason > 123 then
        return nil, "it closes with a code or a reason that cannot be sent"
    end
    conn:close(code, reason)
    return true
end

local function take_json(conn, state, answer)
    local said, why = weir.json.decode(answer.body)
    if type(said) ~= "table" then
        return nil, "the answer is not a JSON object: " .. tostring(why or type(said))
    end
    if said.state ~= nil then
        state.kept = said.state
    end
    local items = type(said.send) == "string" and {said.send} or said.send or {}
    if type(items) ~= "table" then
        return nil, "send is not a list"
    end
    for _, item in ipairs(items) do
        local ok, word = send_item(conn, item)
        if not ok then
            return nil, word
        end
    end
    if said.close == nil then
        return true
    end
    local how = type(said.close) == "table" and said.close or {code = said.close}
    local reason = type(how.reason) == "string" and how.reason or ""
    return close(conn, type(how.code) == "number" and math.tointeger(how.code) or nil, reason)
end

local function take_binary(conn, answer)
    if answer.body ~= "" then
        local content_type = answer.headers["content-type"] or ""
        local is_text = content_type:find("^text/") or content_type:find("^application/json")
        local ok, why = send(conn, answer.body, is_text and "text" or "binary")
        if not ok then
            return nil, why
        end
    end
    local how = answer.headers["x-weir-close"]
    if not how then
        return true
    end
    local code, reason = how:match("^(%d+)%s*(.*)$")
    return close(conn, math.tointeger(code), reason or "")
end

-- True, or nil where the session is not to go on.
local function take(conn, state, answer, why)
    local ok = answer ~= nil
    if answer and answer.status >= 300 then
        weir.log.info(state.id, "is refused by the backend with status " .. answer.status)
        conn:close(1008, "refused")
        return nil
    end
    if answer and config.format == "binary" then
        ok, why = take_binary(conn, answer)
    elseif answer and answer.body ~= "" then
        ok, why = take_json(conn, state, answer)
    end
    if ok then
        return true
    end
    weir.log.warn(state.id, shown_url .. ":", why)
    if config.on_failure == "close" then
        conn:close(1013, "the backend has failed")
        return nil
    end
    return true
end

-- --- the session ---

local function tell_close(state)
    local ending = state.ending
    state.seq = state.seq + 1
    local _, why = post_json(state, "close", {
        code = ending.code,
        reason = ending.reason,
        closed_by = ending.closed_by,
        duration = ending.duration,
        messages_in = ending.messages_in,
        messages_out = ending.messages_out,
    }, config.retries + 1)
    if why then
        weir.log.warn(state.id, "the backend was not told of the end:", why)
    end
end

-- Runs `ask` while nothing else of the session is told, and does what the answer says. The session may end meanwhile.
local function tell(conn, state, ask)
    state.busy = true
    state.seq = state.seq + 1
    local answer, why = ask()
    state.busy = false
    if not state.ending then
        return take(conn, state, answer, why)
    end
    if state.told_open and config.close then
        tell_close(state)
    end
    return nil
end

-- A header's value need not be UTF-8, but JSON is.
local function chosen_headers(req)
    local headers = {}
    for _, name in ipairs(config.request_headers) do
        local value = req.headers[name]
        if value then
            headers[name] = utf8.len(value) and value or value:gsub("[\128-\255]", "?")
        end
    end
    return headers
end

local plugin = {}

function plugin.on_open(conn)
    local state, req = conn.data, conn.request
    state.id = string.format("%d", conn.id)
    state.seq = 0
    state.told_open = true
    if not config.open then
        return
    end
    local about = {
        target = req.target,
        host = req.host,
        remote = req.remote,
        subprotocol = req.subprotocol,
        headers = chosen_headers(req),
    }
    local went_on = tell(conn, state, function()
        local answer, why = post_json(state, "open", {request = about}, config.retries + 1)
        state.told_open = answer ~= nil and answer.status < 300
        return answer, why
    end)
    if not went_on then
        state.over = true
    end
end

function plugin.on_message(conn, data, kind)
    local state = conn.data
    if state.over then
        return
    end
    local went_on = tell(conn, state, function()
        return post_message(state, data, kind)
    end)
    if not went_on then
        state.over = true -- what came with it is not for the backend
    end
end

function plugin.on_close(conn, _, _, ending)
    local state = conn.data
    state.ending = ending
    if state.told_open and config.close and not state.busy then
        tell_close(state)
    end
end

return plugin
