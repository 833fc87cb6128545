import Testing

@testable import manager

@Suite("File systems that are warned of")
struct UntrustedFileSystemTests {
    @Test("NFS and FUSE are named, a local disk is not")
    func names() {
        #expect(UntrustedFileSystem.name(magic: 0x6969) == "NFS")
        #expect(UntrustedFileSystem.name(magic: 0x6573_5546) == "FUSE")
        #expect(UntrustedFileSystem.name(magic: 0xEF53) == nil)
        #expect(UntrustedFileSystem.name(at: "/proc") == nil)
        #expect(UntrustedFileSystem.name(at: "/no/such/place") == nil)
    }
}
