import Testing

@testable import manager

@Suite("The identity of a point")
struct PointKeyTests {
    private func key(_ config: String) -> PointKey { PointKey(phase: "p", config: Array(config.utf8)) }

    @Test(
        "equal values have equal keys",
        arguments: [
            (#"{"a":4}"#, #"{"a":4.0}"#), (#"{"a":40e-1}"#, #"{"a":0.4E+1}"#), (#"{"a":0}"#, #"{"a":-0.0e5}"#),
            (#"{"a":1,"b":2}"#, #"{"b":2,"a":1}"#), (#"{"a":"A"}"#, #"{"a":"\u0041"}"#),
            (#"{"\u0061":1}"#, #"{"a":1}"#), (#"{"a":{"x":1,"y":[1.0]}}"#, #"{ "a" : {"y":[1],"x":1} }"#),
            (#"{"a":12345678901234567890123}"#, #"{"a":12345678901234567890123.000}"#),
        ])
    func equal(left: String, right: String) { #expect(key(left) == key(right)) }

    @Test(
        "different values have different keys",
        arguments: [
            (#"{"a":4}"#, #"{"a":"4"}"#), (#"{"a":4}"#, #"{"a":40}"#), (#"{"a":1}"#, #"{"a":-1}"#),
            (#"{"a":[1,2]}"#, #"{"a":[2,1]}"#),
            (#"{"a":null}"#, #"{}"#), (#"{"a":true}"#, #"{"a":1}"#), (#"{"a":"b"}"#, #"{"ab":""}"#),
            (#"{"a":12345678901234567890123}"#, #"{"a":12345678901234567890124}"#), (#"{"a":[[]]}"#, #"{"a":[]}"#),
            (#"{"a":1e9999999999999999999}"#, #"{"a":1e99999999999999999999}"#),
        ])
    func different(left: String, right: String) { #expect(key(left) != key(right)) }

    @Test("the phase is part of the key")
    func phase() {
        #expect(PointKey(phase: "a", config: Array("{}".utf8)) != PointKey(phase: "b", config: Array("{}".utf8)))
    }

    @Test(
        "what is no JSON stands for itself",
        arguments: ["", "{", "{\"a\":tru}", "{\"a\":1}}", "[[[[", "{\"a\":\"\\x\"}", "-", "1."])
    func broken(text: String) { #expect(PointKey.canonicalValue(Array(text.utf8)) == Array(("x" + text).utf8)) }
}
