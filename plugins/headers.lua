-- Adds, sets and removes headers of requests, as whatever comes behind sees them, and of answers, whoever gives them.
-- docs/headers.md has the settings.
local settings = require("lib.settings")

local config = settings.read(weir.config, {request = {type = "any", default = {}}, response = {type = "any", default = {}}})

local function fail(place, words)
    error("config." .. place .. " " .. words, 0)
end

local function check_name(place, name)
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
        fail(place, "has \"" .. tostring(name) .. "\", which cannot be the name of a header")
    end
    if settings.is_own(name) then
        fail(place, "has " .. name .. ", which is for Weir alone to write")
    end
end

local function check_value(place, name, value)
    local whole = type(value) == "number" and math.tointeger(value)
    if whole then value = tostring(whole) end
    if type(value) ~= "string" then fail(place, "gives " .. name .. " a " .. type(value) .. "; put the header's value in quotes") end
    if value:find("[\0-\8\10-\31\127]") then fail(place, "gives " .. name .. " a value with control characters") end
    return value
end

-- The fields of a mapping as a list of { name =, value = }, sorted, so that their order is always the same.
local function read_fields(place, mapping)
    local fields = {}
    if type(mapping) ~= "table" or #mapping > 0 then fail(place, "must be a mapping of headers and values") end
    for name, given in pairs(mapping) do
        check_name(place, name)
        if type(given) == "table" and #given == 0 then fail(place, "gives " .. name .. " neither a value nor a list of values") end
        for _, value in ipairs(type(given) == "table" and given or { given }) do
            fields[#fields + 1] = { name = name, value = check_value(place, name, value), at = #fields }
        end
    end
    table.sort(fields, function(a, b)
        if a.name ~= b.name then return a.name < b.name end
        return a.at < b.at
    end)
    return fields
end

local function read_set(place, mapping)
    local fields = read_fields(place, mapping)
    for i = 2, #fields do
        if fields[i].name == fields[i - 1].name then
            fail(place, "gives " .. fields[i].name .. " a list; add takes lists")
        end
    end
    return fields
end

local function read_names(place, list)
    if type(list) ~= "table" or (next(list) ~= nil and #list == 0) then fail(place, "must be a list of headers") end
    for _, name in ipairs(list) do
        check_name(place, name)
    end
    return list
end

local readers = { add = read_fields, set = read_set, remove = read_names }

local function read_direction(direction)
    local given = config[direction]
    local changes = { add = {}, set = {}, remove = {} }
    if type(given) ~= "table" then fail(direction, "must be a mapping of add, set and remove") end
    for word, value in pairs(given) do
        local place = direction .. "." .. tostring(word)
        if not readers[word] then fail(place, "is not known; there are add, remove, set") end
        changes[word] = readers[word](place, value)
    end
    return changes
end

local request = read_direction("request")
local response = read_direction("response")

local headers = {}

function headers.on_request(req)
    for _, name in ipairs(request.remove) do
        req:remove_request_header(name)
    end
    for _, field in ipairs(request.set) do
        req:set_request_header(field.name, field.value)
    end
    for _, field in ipairs(request.add) do
        req:add_request_header(field.name, field.value)
    end
    for _, name in ipairs(response.remove) do
        req:remove_header(name)
    end
    for _, field in ipairs(response.set) do
        req:set_header(field.name, field.value)
    end
    for _, field in ipairs(response.add) do
        req:add_header(field.name, field.value)
    end
end

return headers
