-- Asks an HTTP service before a request or an upgrade goes on. It is told who wants what; 2xx lets it pass, another
-- answer below 500 is the client's. docs/forward-auth.md has the settings.
local settings = require("lib.settings")

local config = settings.read(weir.config, {
    url = {type = "url", required = true},
    method = {one_of = {"GET", "HEAD", "POST"}, default = "GET"},
    request_headers = {type = "names", default = {"authorization", "cookie", "origin"}},
    response_headers = {
        type = "names",
        default = {"content-type", "location", "www-authenticate", "set-cookie", "retry-after", "cache-control"},
    },
    pass_headers = {type = "names", default = {}},
    timeout = {type = "number", default = 5, min = 0.001, max = 60, unit = "seconds"},
    on_failure = {one_of = {"deny", "allow"}, default = "deny"},
    max_response = {type = "integer", default = 65536, min = 0, max = 16777216, unit = "bytes"},
    verify = {type = "boolean", default = true},
    ca = {type = "string"},
})

-- What the client says must not pass for what we say.
for _, name in ipairs(config.request_headers) do
    if name:find("^x%-forwarded%-") then
        error("config.request_headers must not have " .. name .. ": the gateway sets it", 0)
    end
end

-- For the log, without a password.
local shown_url = config.url:gsub("//[^/]*@", "//")

local function ask(req)
    local headers = {
        ["x-forwarded-method"] = req.method,
        ["x-forwarded-proto"] = req.scheme,
        ["x-forwarded-host"] = req.host,
        ["x-forwarded-uri"] = req.target,
        ["x-forwarded-for"] = req.remote,
    }
    for _, name in ipairs(config.request_headers) do
        headers[name] = req.headers[name]
    end
    return weir.http.request({
        url = config.url,
        method = config.method,
        headers = headers,
        timeout = config.timeout,
        max_response = config.max_response,
        verify = config.verify,
        ca = config.ca,
    })
end

-- The service's own refusal: a redirect to a sign-in page, a 401 with its challenge, a 403 with its words.
local function refuse(req, answer)
    local headers = {}
    for _, name in ipairs(config.response_headers) do
        local values = answer:header_values(name)
        if #values > 0 then
            headers[name] = values
        end
    end
    return req:reply(answer.status, headers, answer.body)
end

-- What the service says of the client, for what follows; the client cannot say it itself, whatever the service says.
local function pass(req, answer)
    for _, name in ipairs(config.pass_headers) do
        req:remove_request_header(name)
        for _, value in ipairs(answer and answer:header_values(name) or {}) do
            req:add_request_header(name, value)
        end
    end
end

local plugin = {}

function plugin.on_request(req)
    local answer, why = ask(req)
    if not req.method then
        return -- the client has gone meanwhile
    end
    if answer and answer.status >= 200 and answer.status <= 299 then
        return pass(req, answer)
    end
    if answer and answer.status >= 300 and answer.status <= 499 then
        return refuse(req, answer)
    end
    weir.log.warn("no word from " .. shown_url .. ": " .. (why or "status " .. answer.status))
    if config.on_failure == "allow" then
        return pass(req, nil)
    end
    return req:reply(503, {["content-type"] = "text/plain", ["cache-control"] = "no-store"},
                     "who may come in cannot be asked now\n")
end

return plugin
