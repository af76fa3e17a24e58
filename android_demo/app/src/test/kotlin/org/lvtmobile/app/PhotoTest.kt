package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.lvtmobile.core.Size

class PhotoTest {
    /** 50 megapixels at 7 bytes per pixel would exceed the memory of the app on most phones. */
    @Test
    fun `halves large photos until they fit`() {
        assertEquals(1, sampleSize(Size(2048, 1536)))
        assertEquals(2, sampleSize(Size(3000, 4000)))
        assertEquals(4, sampleSize(Size(6120, 8160)))
    }
}
