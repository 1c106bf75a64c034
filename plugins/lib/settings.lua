-- Checks a plugin's settings (weir.config) when its file is loaded, so that a mistake is a configuration error that
-- names the key, what it must be, and what it is.
--
--   local settings = require("lib.settings")
--   local config = settings.read(weir.config, {
--       url     = {type = "url", required = true},
--       timeout = {type = "number", default = 5, min = 0.001, max = 3600, unit = "seconds"},
--       mode    = {one_of = {"deny", "allow"}, default = "deny"},
--       verify  = {type = "boolean", default = true},
--       words   = {type = "strings"},                          -- a list
--       header  = {type = "name", default = "X-Id"},            -- one that the plugin sets
--       headers = {type = "names", default = {"cookie"}},      -- a list of header names
--       extra   = {type = "fields", default = {}},              -- a mapping of header names to values
--   })
local settings = {}

local function fail(key, must, value)
    local is = type(value)
    if is == "string" then
        is = string.format("%q", value)
    elseif is == "number" or is == "boolean" then
        is = tostring(value)
    elseif is == "table" then
        is = #value > 0 and "a list" or "a mapping"
    else
        is = "null"
    end
    error(string.format("config.%s must be %s, not %s", key, must, is), 0)
end

local function is_token(value)
    return type(value) == "string" and value:find("^[%w!#$%%&'*+%-.^_`|~]+$") ~= nil
end

local check = {}

function check.string(key, rule, value)
    if type(value) ~= "string" or (value == "" and not rule.may_be_empty) then
        fail(key, "a string" .. (rule.may_be_empty and "" or " that is not empty"), value)
    end
    return value
end

function check.url(key, _, value)
    if type(value) ~= "string" or not value:find("^https?://[^/%s]+%S*$") then
        fail(key, "a URL that begins with http:// or https://", value)
    end
    return value
end

function check.boolean(key, _, value)
    if type(value) ~= "boolean" then
        fail(key, "true or false", value)
    end
    return value
end

-- For what the plugin checks itself.
function check.any(_, _, value)
    return value
end

function check.strings(key, _, value)
    if type(value) ~= "table" or (next(value) ~= nil and #value == 0) then
        fail(key, "a list of strings", value)
    end
    for i, text in ipairs(value) do
        check.string(key .. "[" .. i - 1 .. "]", {}, text)
    end
    return value
end

local function check_range(key, what, rule, value)
    if type(value) ~= "number" or not (value >= rule.min and value <= rule.max) or
       (what == "a whole number" and math.type(value) ~= "integer" and value % 1 ~= 0) then
        local unit = rule.unit and " of " .. rule.unit or ""
        fail(key, string.format("%s%s from %s to %s", what, unit, rule.min, rule.max), value)
    end
end

function check.number(key, rule, value)
    check_range(key, "a number", rule, value)
    return value
end

function check.integer(key, rule, value)
    check_range(key, "a whole number", rule, value)
    return math.tointeger(value)
end

-- What frames or routes a message; req:set_header and its kin refuse these.
local own = {}
for name in ([[connection content-length date expect host keep-alive proxy-authenticate proxy-authorization
               proxy-connection te trailer transfer-encoding upgrade]]):gmatch("%S+") do
    own[name] = true
end

-- Whether a header is the gateway's own to write.
function settings.is_own(name)
    local plain = name:lower():gsub("_", "-")
    return own[plain] == true or plain:find("^sec%-websocket%-") ~= nil
end

-- The name of one header, for a plugin to set.
function check.name(key, _, value)
    if not is_token(value) then
        fail(key, "a header's name", value)
    end
    if settings.is_own(value) then
        error(string.format("config.%s cannot be %s, which is for Weir alone to write", key, value), 0)
    end
    return value
end

-- In lower case, as they are compared in any case.
function check.names(key, _, value)
    local must = "a list of header names"
    local names = {}
    if type(value) ~= "table" or (next(value) ~= nil and #value == 0) then
        fail(key, must, value)
    end
    for i, name in ipairs(value) do
        if not is_token(name) then
            fail(key .. "[" .. i - 1 .. "]", "a header's name", name)
        end
        names[i] = name:lower()
    end
    return names
end

function check.fields(key, _, value)
    local fields = {}
    if type(value) ~= "table" or #value > 0 then
        fail(key, "a mapping of header names to values", value)
    end
    for name, text in pairs(value) do
        if not is_token(name) then
            fail(key, "a mapping of header names to values", name)
        end
        if type(text) ~= "string" and type(text) ~= "number" or tostring(text):find("%c") then
            fail(key .. "." .. name, "a header's value", text)
        end
        fields[name:lower()] = tostring(text)
    end
    return fields
end

local function check_one_of(key, rule, value)
    for _, word in ipairs(rule.one_of) do
        if word == value then
            return value
        end
    end
    fail(key, "one of " .. table.concat(rule.one_of, ", "), value)
end

local function check_known(given, rules)
    local known = {}
    for key in pairs(rules) do
        known[#known + 1] = key
    end
    table.sort(known)
    for key in pairs(given) do
        if not rules[key] then
            error(string.format("config.%s is not known; there are %s", key, table.concat(known, ", ")), 0)
        end
    end
end

-- The settings with their defaults; throws words for people.
function settings.read(given, rules)
    local config = {}
    check_known(given, rules)
    for key, rule in pairs(rules) do
        local value = given[key]
        if value ~= nil then
            config[key] = (rule.one_of and check_one_of or check[rule.type])(key, rule, value)
        elseif rule.required then
            error(string.format("config.%s is missing", key), 0)
        else
            config[key] = rule.default
        end
    end
    return config
end

return settings
