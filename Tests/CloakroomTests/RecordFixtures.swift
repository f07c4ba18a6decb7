import Cloakroom

/// One session in every stored form, made by another implementation (Python's `cryptography` and `gzip`). Frozen: every
/// later version must open them.
enum RecordFixtures {
    static let id = "k3pQ2vXw0Jt8uYbN5sLrEaGhZcMiDoPfTqUyVxW1234"
    static let key = "crk1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    static let keyID = "69294767"
    static let olderKey = "crk1_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f4CBgoM"
    static let olderKeyID = "b278bb1e"
    /// Two keys with the same ID.
    static let sameID = [
        "crk1_S1wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "crk1__LoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]
    static let sealedPlace = "session:sha256:TdSVw902nf-kATGdpz5ZuQ5xI3ifKLivCEHggLGEXaU"
    static let plainPlace = "session:\(id)"

    static let plain = bytes(
        """
        eyJ0b2tlbnMiOnsiYWNjZXNzX3Rva2VuIjoiYWNjZXNzIiwicmVmcmVzaF90b2tlbiI6InJlZnJlc2giLCJpZF90b2tlbiI6ImUz\
        MC5leUp6YVdRaU9pSnBaSEF0YzJWemMybHZiaTB4SW4wLngiLCJleHBpcmVzX2luIjozMDAsInJlZnJlc2hfZXhwaXJlc19pbiI6\
        MTgwMH0sInVzZXJfaW5mbyI6eyJzdWIiOiIyNDgyODk3NjEwMDEiLCJwcmVmZXJyZWRfdXNlcm5hbWUiOiJ6b8OrIn0sImNyZWF0\
        ZWRfYXQiOiIyMDI0LTAxLTE1VDEwOjMwOjAwIiwiZXhwaXJlc19hdCI6IjIwMjQtMDEtMTVUMTg6MzA6MDAifQ
        """)
    static let gzip = bytes(
        """
        H4sIAAAAAAAAA2WOwQ6CMBBE_2XPaLYVFbl5Uy7GxGjihZS6xEYF0oJBjF_kZ_hjLoagicfZmTezdyjzE2UOwjsorcm5-HOAsJPg\
        gaXUkjv2RqfZMYf-SCMc0i1q1G5tViYq9ot5qeW20fJ8TQzWywyHNSNUF4bp2DA0Qvy2_xoiQHx4UDmyrNO8_c5VCc9IP5DBbDoR\
        iILbCqbJWjrEbTZTF-JMk7-ewLi2pEq2VNmCKP0BioEYbwTycoj4881fJOgijzedrMJzIQEAAA
        """)
    static let sealed = bytes(
        """
        wQFpKUdnAAECAwQFBgcICQoLkPCXo2Qr23nUxfxH_MtZnhENU2o5moSgbJ5UjHrLtpKquedIm9XddmRzY9R8ZXYRkCtY6ssy6lxu\
        YBJyyOU931sIvdkYDQDcEzz40rMl6Ntx6bx1vrOa6Ppe5o_Ze-b7jTol5Kt_db9el5sIx1kDm7DGJg1AU2DD-ZbkKQaFQny9erU3\
        O69pG0SrIUY6PXkRGNbtpT-SoizpsJToVWN6bWqYWRPBcgPOJL6kVo56zN-mbjwSlIdljXq7Z_ZNcRJH6JYkLpl5L4ILHz3cJFJ-\
        8IMTYuTUi9NU-xoKx74lY8462PXlx_71fRePZl4QqKU1nvyt2mF29efB29fDylDH-ffDJe69ketvoUdrhbEk8wrSL21oqXsatOA-\
        -PKAS9bHJ02Qg_EJCccQqTzWmZO_cXM
        """)
    static let sealedWithOlderKey = bytes(
        """
        wQGyeLseFBUWFxgZGhscHR4f7aqGf0YhhnD1vR2yGSLlahzhCU0XRJFGtX787HJHrUw-jidtemoL-yt5GdxGPQB8D13jeWYzBZPk\
        3dh2nXSH0jeu_UIXxWd_OPoNFLBW2tHReH3WqbCdOCwPVPuyIlxoVeS6ycEIX1U5KmYf9rRfgHNB4JK0GRM_0oBZ4yAHkP3eG5b1\
        G6f6CgROvWIbtqxNnV7cEZanbPQ8XevAvDM_6FZR1oaRYsuxlYNAUno62YICnHMjbu9YkU3hNQsEHUlN4s5qRY62eyV6UfzO8qtS\
        g2O_0zvSyrZwBU41cvqa6sS92efTx-zrYafYCcOD-iljIHVL9AAUuJ33m-yWisNwaxxYiFyVbOhw4Qr4vhU3bal-DdiOpq8tSL0H\
        YZ1ITH-JTl66zbgOrk0mBDYIy_TOF5Y
        """)
    static let sealedGzip = bytes(
        """
        wQFpKUdnDA0ODxAREhMUFRYXAfkmthBk3rJzJgQv6gVD6vBO2gPWIESoFuLAulvZ5ZLB3KBfkQCRHICFCyfeUoCD0M9tkfgmDAPF\
        6iizP_gSx3IsHVR1WgVVDDDWd7GxkxxF3ZuX6A668elbEtoowLlyz4r_eFuk8nTX1FIoWZuQrvXWOZmlzJewvcOMPUj9IogB0CCJ\
        RFwaA2rU8AH7zaEW_rDHvYOhFdDG_nK83yuUqJeG67KotiHFoIejZPuUjId0dNpH0CDTrdW3yQIvo35la5PyDLEukyl2gqIHH-F2\
        UMyRynFPw9Y2T_eMWqY
        """)
    static let summary = bytes(
        """
        wYFpKUdnKCkqKywtLi8wMTIzdlXSNA8GxJqiGolbP6m6St9toH-uEc8vABzI0cbkn-9EIZJsb7gxIPjtDLdvNWCnq3zezp8eqLu-\
        7S0oFv7eN2_4K5uFriHlk-YVbqFbUPYdNEdwoWwsWtOjeWrqunldJumiJhu1rUiuL_irBdy-M4W7riaRf0TDNPsugfhoWBzUn1-h\
        tXdtUe-bsIibmQzeYZUSG4_If-per_rNDo3E2n3cOTp82bI
        """)

    private static func bytes(_ text: String) -> [UInt8] { Base64URL.decode(text) ?? [] }
}
