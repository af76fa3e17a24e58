package org.lvtmobile.app

import android.content.Intent
import android.graphics.Bitmap
import android.net.Uri
import android.provider.OpenableColumns
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import java.io.File
import java.io.FileNotFoundException

@RunWith(RobolectricTestRunner::class)
class SharedPictureTest {
    private val provider = Robolectric.buildContentProvider(SharedPictureProvider::class.java)
        .create("org.lvtmobile.app.shared").get()

    private fun share(side: Int): Uri = besideMain {
        val intent = sharePicture(context, Bitmap.createBitmap(side, side, Bitmap.Config.ARGB_8888), "text")
        @Suppress("DEPRECATION") // its replacement needs Android 13
        val sent = checkNotNull(intent.getParcelableExtra<Intent>(Intent.EXTRA_INTENT))
        checkNotNull(sent.clipData).getItemAt(0).uri
    }

    private fun size(uri: Uri) = checkNotNull(provider.query(uri, arrayOf(OpenableColumns.SIZE), null, null, null)).use {
        it.moveToFirst()
        it.getLong(0)
    }

    /** An app that received the first picture may still read it. */
    @Test
    fun `a second picture does not overwrite the first`() {
        val first = share(8)
        val before = provider.openFile(first, "r").use { it.statSize }
        val second = share(64)
        assertTrue(first != second)
        assertEquals(before, provider.openFile(first, "r").use { it.statSize })
        assertEquals(size(second), provider.openFile(second, "r").use { it.statSize })
    }

    @Test
    fun `keeps a few pictures only`() {
        val uris = List(12) { share(8) }
        assertEquals(8, File(context.cacheDir, "shared").listFiles().orEmpty().size)
        provider.openFile(uris.last(), "r").close()
    }

    @Test
    fun `gives access to nothing else`() {
        share(8)
        File(context.cacheDir, "secret.png").writeText("x")
        for (name in listOf("secret.png", "..%2Fsecret.png", "../secret.png", "lvt-1.png/../../secret.png")) {
            val uri = Uri.parse("content://org.lvtmobile.app.shared/$name")
            assertThrows(FileNotFoundException::class.java) { provider.openFile(uri, "r").close() }
        }
        assertThrows(FileNotFoundException::class.java) {
            provider.openFile(Uri.parse("content://org.lvtmobile.app.shared/lvt-1.png"), "w")
        }
    }
}
